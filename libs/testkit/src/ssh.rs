//! An SSH server of its own on the loopback interface, with its own keys.
//!
//! Invariant: the machine's own server and keys have no part in it; it ends with the value.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::program::{self, Background, within};

const BOUND: Duration = Duration::from_secs(20);
/// Where Debian puts the server.
const SSHD: &str = "/usr/sbin/sshd";

/// A server that lets in whoever has its key.
#[derive(Debug)]
pub struct SshServer {
    temp: TempDir,
    port: u16,
    user: String,
    _process: Background,
}

impl SshServer {
    /// Starts it.
    #[track_caller]
    pub fn start() -> Self {
        assert!(
            Path::new(SSHD).is_file(),
            "{SSHD} is missing: apt-get install openssh-server"
        );
        // The server refuses to start without it, and the system makes it only for its own.
        let _ = std::fs::create_dir_all("/run/sshd");
        let temp = tempfile::Builder::new()
            .prefix("autopack-ssh-")
            .tempdir()
            .unwrap();
        let at = |name: &str| temp.path().join(name);
        for key in ["host", "good", "bad"] {
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key));
            program::run(&mut make, BOUND).expect_code(0);
        }
        std::fs::copy(at("good.pub"), at("authorized")).unwrap();
        let port = free_port();
        let host = std::fs::read_to_string(at("host.pub")).unwrap();
        std::fs::write(at("known"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel ERROR\n",
            at("host").display(),
            at("authorized").display(),
        );
        std::fs::write(at("config"), config).unwrap();
        let mut serve = Command::new(SSHD);
        serve.args(["-D", "-e", "-f"]).arg(at("config"));
        let mut process = Background::start(&mut serve);
        within(BOUND, "the SSH server answers", || {
            assert!(
                process.is_running(),
                "sshd ended: {:?}",
                process.wait(BOUND)
            );
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        let user = program::run(Command::new("id").arg("-un"), BOUND);
        Self {
            temp,
            port,
            user: user.stdout.trim().to_owned(),
            _process: process,
        }
    }

    /// The address of a repository on this machine.
    pub fn url(&self, repo: &Path) -> String {
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            self.user,
            self.port,
            repo.display()
        )
    }

    /// What git needs to get in.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        self.env_with("good")
    }

    /// The same with a key that opens nothing.
    pub fn wrong_env(&self) -> Vec<(OsString, OsString)> {
        self.env_with("bad")
    }

    fn env_with(&self, key: &str) -> Vec<(OsString, OsString)> {
        let at = |name: &str| -> PathBuf { self.temp.path().join(name) };
        let command = format!(
            "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=10 -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} -i {}",
            at("known").display(),
            at(key).display()
        );
        vec![("GIT_SSH_COMMAND".into(), command.into())]
    }
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
