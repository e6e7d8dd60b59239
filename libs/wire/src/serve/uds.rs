//! The Unix socket: bound so that nobody else can use it for a moment, one server at a time.
//!
//! Invariant: the socket appears at its path only with mode 0600, and a peer of another uid is hung up on. A live
//! server's socket is never replaced; a dead one's is.

use std::{
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use futures::{Stream, stream};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::guarded::Guarded;
use crate::server::{Peer, Principal};

/// A bound socket; removed from its path when dropped.
#[derive(Debug)]
pub struct UdsSocket {
    listener: UnixListener,
    path: PathBuf,
    uid: u32,
    inode: u64,
}

impl UdsSocket {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UdsSocket {
    fn drop(&mut self) {
        // Only our own: a later server may have replaced it.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket. Fails with `AddrInUse` while another server answers there, or if the path is no socket.
pub async fn bind_uds(path: &Path) -> io::Result<UdsSocket> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("a server answers at {}", path.display()),
        ));
    }
    if let Ok(meta) = std::fs::symlink_metadata(path)
        && !std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type())
    {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} is not a socket", path.display()),
        ));
    }
    // Made beside, closed to others, then moved: nobody can connect before the mode is right.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let _ = std::fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    let moved = std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::symlink_metadata(&beside))
        .and_then(|meta| std::fs::rename(&beside, path).map(|()| meta));
    match moved {
        Ok(meta) => Ok(UdsSocket {
            listener,
            path: path.to_owned(),
            uid: meta.uid(),
            inode: meta.ino(),
        }),
        Err(error) => {
            let _ = std::fs::remove_file(&beside);
            Err(error)
        }
    }
}

/// Connections of peers with the uid that owns the socket.
pub(super) fn incoming(
    socket: &UdsSocket,
    principal: Principal,
    kill: CancellationToken,
) -> impl Stream<Item = io::Result<Guarded<UnixStream>>> + Send + '_ {
    stream::unfold((), move |()| {
        let kill = kill.clone();
        async move {
            loop {
                match socket.listener.accept().await {
                    Ok((stream, _)) if is_ours(&stream, socket.uid) => {
                        return Some((Ok(Guarded::new(stream, Peer(Some(principal)), kill)), ()));
                    }
                    Ok(_) => tracing::warn!("a peer of another uid was hung up on"),
                    Err(error) => super::accept_failed(&error).await,
                }
            }
        }
    })
}

fn is_ours(stream: &UnixStream, uid: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == uid)
}
