//! Where a capture registry listens, and the name of an image that is pushed there.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::Ipv4Addr;

use tokio::net::{TcpListener, TcpSocket};

/// The port, if it is free. An engine notes for every layer where it was pushed to, and keeps 50 such notes: a fixed
/// address does not displace those of the user's own registries.
const PORT: u16 = 29_170;

/// Repository names to choose from, because an engine cancels a push when another one to the same name starts.
const NAMES: u64 = 8;

/// Bytes that an engine may send before they are read. The fewer, the less it compresses in vain.
const WINDOW: u32 = 64 << 10;

/// An address of our own.
pub(super) struct Address {
    pub listener: TcpListener,
    /// `xtask-3`
    pub repository: String,
    /// `127.0.0.1:29170/xtask-3:part`
    pub reference: String,
}

impl Address {
    pub fn open() -> io::Result<Address> {
        let listener = listen(PORT).or_else(|_| listen(0))?;
        let random = RandomState::new().build_hasher().finish();
        let repository = format!("xtask-{}", random % NAMES);
        let reference = format!("{}/{repository}:part", listener.local_addr()?);
        Ok(Address {
            listener,
            repository,
            reference,
        })
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(WINDOW)?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(64)
}

/// Whether an image's name is the [`Address::reference`] of some run.
pub(super) fn is_own_tag(reference: &str) -> bool {
    let parse = || {
        let (port, name) = reference.strip_prefix("127.0.0.1:")?.split_once('/')?;
        let number = name.strip_prefix("xtask-")?.strip_suffix(":part")?;
        Some((port.parse::<u16>().ok()?, number.parse::<u64>().ok()?))
    };
    parse().is_some_and(|(_, number)| number < NAMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_a_capture_registry_are_own_tags() {
        assert!(is_own_tag("127.0.0.1:29170/xtask-3:part"));
        for reference in [
            "127.0.0.1:5000/team/xtask-3:part",
            "127.0.0.1:5000/xtask-app:part",
            "127.0.0.1:5000/xtask-8:part",
            "127.0.0.1:5000/xtask-3:1.0",
            "r.example/xtask-3:part",
        ] {
            assert!(!is_own_tag(reference), "{reference}");
        }
    }
}
