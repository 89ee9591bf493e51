//! Whose program is at the other end of a connection over loopback: every user of this machine can reach a port there, and what
//! the metadata service gives out is the region's user's alone. Linux tells the owner of each socket in `/proc/net/tcp`
//! (proc(5)).

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// `TCP_ESTABLISHED` (Linux, `net/tcp_states.h`).
const ESTABLISHED: u8 = 1;

/// Whether the socket at `peer`, connected to `here`, is of the user who runs this program, or of root. Not, where the system
/// does not tell. Blocks for a moment.
#[must_use]
pub fn is_ours(peer: SocketAddr, here: SocketAddr) -> bool {
    let mine = nix::unistd::getuid().as_raw();
    // A client that speaks IPv6, too, has its sockets in the other table.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let owner = tables.into_iter().find_map(|table| owner(&fs::read_to_string(table).ok()?, peer, here));
    // Root reads the user's secrets anyway; but sockets that nobody has any more are also said to be root's.
    owner.is_some_and(|(owner, state)| owner == mine || (owner == 0 && state == ESTABLISHED))
}

/// The user of a socket, and its state, by its own address and the one it is connected to.
fn owner(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<(u32, u8)> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (here, there) = (words.nth(1)?, words.next()?);
        if !is(here, local) || !is(there, remote) {
            return None;
        }
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        Some((words.nth(3)?.parse().ok()?, state))
    })
}

/// Whether the table's `0100007F:1F90` is that address. Each four bytes of it are a number in the machine's own order.
fn is(written: &str, address: SocketAddr) -> bool {
    let IpAddr::V4(ip) = address.ip() else { return false };
    let plain = format!("{:08X}", u32::from_ne_bytes(ip.octets()));
    let mapped = format!("0000000000000000{:08X}{plain}", u32::from_ne_bytes([0, 0, 0xff, 0xff]));
    let port = format!("{:04X}", address.port());
    written.split_once(':').is_some_and(|(host, number)| number == port && (host == plain || host == mapped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_owner_of_a_socket_is_found() {
        let listener = TcpListener::bind("127.7.7.7:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, here) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        assert!(is_ours(peer, here));
        assert!(!is_ours(here, here), "no such socket");
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        assert_eq!(owner(&table, peer, here), Some((nix::unistd::getuid().as_raw(), ESTABLISHED)));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn both_tables_are_read() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        let four = format!("{head}   0: 0100007F:1F90 0707077F:0050 01 00000000:00000000 00:00000000 00000000  1000 0 7 1\n");
        let six = four.replace("0100007F:1F90", "0000000000000000FFFF00000100007F:1F90");
        let six = six.replace("0707077F:0050", "0000000000000000FFFF00000707077F:0050");
        let (local, remote) = ("127.0.0.1:8080".parse().unwrap(), "127.7.7.7:80".parse().unwrap());
        assert_eq!(owner(&four, local, remote), Some((1000, ESTABLISHED)));
        assert_eq!(owner(&six, local, remote), Some((1000, ESTABLISHED)));
        assert_eq!(owner(&four, remote, local), None);
    }
}
