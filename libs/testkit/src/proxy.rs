//! A TCP proxy on the loopback that cuts, delays or swallows what passes between two processes.
//!
//! Invariant: it changes no byte. A mode holds for connections that are open as well as for new ones; without a
//! fault everything passes in order.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a pump looks for another mode while nothing arrives.
const TICK: Duration = Duration::from_millis(20);

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They pass.
    Pass,
    /// They pass after this time, in each direction.
    Delay(Duration),
    /// Connections stay open and nothing passes: a half-open peer. What arrived in the meantime passes later.
    Hold,
    /// Open connections are reset, new ones are closed at once.
    Cut,
}

#[derive(Debug)]
struct Shared {
    mode: Mutex<Mode>,
    target: Mutex<SocketAddr>,
    ended: AtomicBool,
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Shared {
    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A proxy; it ends when the value goes.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a port of its own, for this target.
    #[track_caller]
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Pass),
            target: Mutex::new(target),
            ended: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let mine = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || accept(&listener, &mine));
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// New connections go there: the process came back on another port.
    pub fn retarget(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// Connections so far: a test knows that its fault met one.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Bytes that arrived, both directions.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_over() {
        match listener.accept() {
            Ok((client, _)) if shared.mode() == Mode::Cut => drop(client),
            Ok((client, _)) => {
                let target = *shared.target.lock().unwrap();
                let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(1)) else {
                    continue;
                };
                shared.connections.fetch_add(1, Ordering::Relaxed);
                pump(&client, &server, shared);
                pump(&server, &client, shared);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(TICK / 4),
            Err(_) => return,
        }
    }
}

/// Bytes and when they arrived.
type Parcel = (Instant, Vec<u8>);
/// Parcels under way in one direction at most.
const UNDER_WAY: usize = 64;

/// Two threads that carry one direction until an end closes, the mode is `Cut`, or the proxy goes: one reads, one writes
/// what is due, so that a delay is one of time and not of throughput.
fn pump(from: &TcpStream, to: &TcpStream, shared: &Arc<Shared>) {
    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    let (Ok(source), Ok(sink)) = (from.try_clone(), to.try_clone()) else {
        return;
    };
    let (send, receive) = mpsc::sync_channel(UNDER_WAY);
    let (reading, writing) = (Arc::clone(shared), Arc::clone(shared));
    std::thread::spawn(move || read(from, &sink, &send, &reading));
    std::thread::spawn(move || write(to, &source, &receive, &writing));
}

fn end(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

fn read(mut from: TcpStream, to: &TcpStream, send: &SyncSender<Parcel>, shared: &Shared) {
    let _ = from.set_read_timeout(Some(TICK));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if shared.is_over() || shared.mode() == Mode::Cut {
            return end(&from, to);
        }
        if shared.mode() == Mode::Hold {
            std::thread::sleep(TICK);
            continue;
        }
        match from.read(&mut buffer) {
            // The writer closes the other side once everything before has passed.
            Ok(0) => return,
            Ok(count) => {
                shared.bytes.fetch_add(count as u64, Ordering::Relaxed);
                if send
                    .send((Instant::now(), buffer[..count].to_vec()))
                    .is_err()
                {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

fn write(mut to: TcpStream, from: &TcpStream, receive: &Receiver<Parcel>, shared: &Shared) {
    let _ = to.set_nodelay(true);
    while let Ok((arrived, bytes)) = receive.recv() {
        if !wait(arrived, shared) || to.write_all(&bytes).is_err() {
            return end(from, &to);
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Until what arrived then may go on; false: it may not, ever.
fn wait(arrived: Instant, shared: &Shared) -> bool {
    while !shared.is_over() {
        match shared.mode() {
            Mode::Pass => return true,
            Mode::Delay(time) => match time.checked_sub(arrived.elapsed()) {
                Some(left) if !left.is_zero() => std::thread::sleep(left.min(TICK)),
                _ => return true,
            },
            Mode::Hold => std::thread::sleep(TICK),
            Mode::Cut => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each byte with the same byte.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((mut socket, _)) = listener.accept() {
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while socket.read_exact(&mut byte).is_ok() && socket.write_all(&byte).is_ok() {}
                });
            }
        });
        address
    }

    fn client(proxy: &Proxy) -> TcpStream {
        let socket = TcpStream::connect(proxy.address()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        socket
    }

    fn turn(socket: &mut TcpStream) -> std::io::Result<u8> {
        socket.write_all(b"x")?;
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    #[test]
    fn bytes_pass_and_are_counted() {
        let proxy = Proxy::to(echo());
        let mut socket = client(&proxy);
        assert_eq!(turn(&mut socket).unwrap(), b'x');
        assert_eq!((proxy.connections(), proxy.bytes()), (1, 2));
    }

    #[test]
    fn a_delay_is_felt_in_both_directions() {
        let proxy = Proxy::to(echo());
        let mut socket = client(&proxy);
        proxy.set(Mode::Delay(Duration::from_millis(50)));
        let start = Instant::now();
        assert_eq!(turn(&mut socket).unwrap(), b'x');
        assert!(start.elapsed() >= Duration::from_millis(100));
    }

    #[test]
    fn a_held_connection_is_open_and_silent_and_goes_on_later() {
        let proxy = Proxy::to(echo());
        let mut socket = client(&proxy);
        assert_eq!(turn(&mut socket).unwrap(), b'x');
        proxy.set(Mode::Hold);
        let silent = turn(&mut socket).unwrap_err();
        assert!(matches!(
            silent.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
        proxy.set(Mode::Pass);
        let mut byte = [0];
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn a_cut_ends_open_connections_and_refuses_new_ones_until_it_is_lifted() {
        let proxy = Proxy::to(echo());
        let mut socket = client(&proxy);
        assert_eq!(turn(&mut socket).unwrap(), b'x');
        proxy.set(Mode::Cut);
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut byte = [0];
        assert!(matches!(socket.read(&mut byte), Ok(0) | Err(_)));
        assert!(turn(&mut client(&proxy)).is_err());
        proxy.set(Mode::Pass);
        assert_eq!(turn(&mut client(&proxy)).unwrap(), b'x');
    }
}
