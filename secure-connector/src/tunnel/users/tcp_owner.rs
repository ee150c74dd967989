//! Who owns a TCP socket of this host, from the tables of proc(5): `/proc/net/tcp` and `/proc/net/tcp6`.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    net::{IpAddr, SocketAddr},
};

use tokio::task::spawn_blocking;

const TCP: &str = "/proc/net/tcp";
const TCP6: &str = "/proc/net/tcp6";

pub(super) fn owners_can_be_told() -> io::Result<()> {
    File::open(TCP).map(drop)
}

/// The user whose socket at `client` is connected to `tunnel`; `None` if the system does not tell.
pub(super) async fn tcp_owner(client: SocketAddr, tunnel: SocketAddr) -> Option<u32> {
    // A table that changes while it is read can leave an entry out; hence the second look, and no third.
    let look_twice = move || (0..2).find_map(|_| look(client, tunnel));
    spawn_blocking(look_twice).await.ok().flatten()
}

fn look(client: SocketAddr, tunnel: SocketAddr) -> Option<u32> {
    let owner = |(table, mapped)| {
        let file = File::open(table).inspect_err(|error| tracing::debug!(table, %error, "cannot be read")).ok()?;
        owner_in(BufReader::new(file), &listed(client, mapped), &listed(tunnel, mapped))
    };
    match client.ip().to_canonical() {
        // An IPv6 socket may be connected to an IPv4 address, and is then found among its own kind.
        IpAddr::V4(_) => [(TCP, false), (TCP6, true)].into_iter().find_map(owner),
        IpAddr::V6(_) => owner((TCP6, true)),
    }
}

/// The owner of the socket with these ends, its own first.
fn owner_in(table: impl BufRead, own: &str, other: &str) -> Option<u32> {
    table.lines().map_while(Result::ok).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        if fields.next() != Some(own) || fields.next() != Some(other) {
            return None;
        }
        let uid = fields.nth(4)?.parse().ok()?;
        // A socket that nobody holds any more has no inode, and is listed as root's whoever it was.
        let inode: u64 = fields.nth(1)?.parse().ok()?;
        (inode != 0).then_some(uid)
    })
}

/// As the kernel prints it: words of the address in network order, read as numbers of this machine.
fn listed(address: SocketAddr, mapped: bool) -> String {
    let word = |bytes: &[u8; 4]| format!("{:08X}", u32::from_ne_bytes(*bytes));
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if mapped => IpAddr::V6(ip.to_ipv6_mapped()),
        ip => ip,
    };
    let ip: String = match ip {
        IpAddr::V4(ip) => word(&ip.octets()),
        IpAddr::V6(ip) => ip.octets().as_chunks().0.iter().map(word).collect(),
    };
    format!("{ip}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_written_as_the_kernel_writes_them() {
        let v4 = "127.0.0.1:49618".parse().unwrap();
        assert_eq!(listed(v4, false), "0100007F:C1D2");
        assert_eq!(listed(v4, true), "0000000000000000FFFF00000100007F:C1D2");
        assert_eq!(listed("[::ffff:127.0.0.1]:49618".parse().unwrap(), false), "0100007F:C1D2");
        assert_eq!(listed("[2001:db8::1]:80".parse().unwrap(), true), "B80D0120000000000000000001000000:0050");
    }

    #[test]
    fn the_owner_is_that_of_the_socket_with_both_ends_and_a_holder() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2049 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1060 1 00000000d98cf89f 100 0
   1: 0100007F:2049 0100007F:C1D2 01 00000000:00000000 00:00000000 00000000   101        0 1061 1 0000000000000000 20 4
   2: 0100007F:C1D2 0100007F:2050 01 00000000:00000000 00:00000000 00000000   102        0 1062 1 0000000000000000 20 4
   3: 0100007F:C1D2 0100007F:2049 01 00000000:00000000 00:00000000 00000000  1000        0 1063 1 0000000000000000 20 4
   4: 0100007F:C1D3 0100007F:2049 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4
   5: 0100007F:C1D4 0100007F:2049";
        let owner = |own| owner_in(table.as_bytes(), own, "0100007F:2049");
        assert_eq!(owner("0100007F:C1D2"), Some(1000));
        assert_eq!(owner("0100007F:C1D3"), None, "closed by whoever held it");
        assert_eq!(owner("0100007F:C1D4"), None, "cut short");
        assert_eq!(owner("0100007F:C1D5"), None, "not there");
    }
}
