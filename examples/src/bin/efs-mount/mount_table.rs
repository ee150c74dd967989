//! Which mounts of this host go through which local port: /proc/self/mountinfo (proc_pid_mountinfo(5)).

use std::{collections::BTreeMap, fs, fs::File, io, thread};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::retry_on_intr,
};
use tokio::sync::mpsc::{Receiver, channel};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// The mount points of NFS from 127.0.0.1, by port.
pub(crate) type MountsByPort = BTreeMap<u16, Vec<Mounted>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub(crate) at: String,
    /// `major:minor`, by which /sys/class/bdi knows it.
    pub(crate) device: String,
    /// In bytes.
    pub(crate) rsize: Option<u64>,
}

/// The mount table of our mount namespace, with notice of its changes.
pub(crate) struct MountTable(Receiver<io::Result<()>>);

impl MountTable {
    /// Watches it from now on.
    pub(crate) fn open() -> io::Result<Self> {
        let (file, (notice, notices)) = (File::open(MOUNTINFO)?, channel(1));
        thread::Builder::new().name("mount table".to_owned()).spawn(move || {
            loop {
                // proc_pid_mounts(5): a change is "a priority event", once for each open file.
                let changed = retry_on_intr(|| poll(&mut [PollFd::new(&file, PollFlags::PRI)], None));
                let failed = changed.is_err();
                if notice.blocking_send(changed.map(drop).map_err(io::Error::from)).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self(notices))
    }

    pub(crate) fn read() -> io::Result<MountsByPort> {
        Ok(mounts_by_port(&String::from_utf8_lossy(&fs::read(MOUNTINFO)?)))
    }

    /// Returns when something has been mounted or unmounted since the last time. Cancel-safe.
    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        self.0.recv().await.unwrap_or_else(|| Err(io::Error::other("the mount table is not watched any more")))
    }
}

fn mounts_by_port(mountinfo: &str) -> MountsByPort {
    let mut mounts = MountsByPort::new();
    for (port, mounted) in mountinfo.lines().filter_map(tunnelled) {
        mounts.entry(port).or_default().push(mounted);
    }
    mounts
}

/// `36 35 0:52 / /mnt/efs rw,relatime shared:1 - nfs4 127.0.0.1:/ rw,vers=4.1,…,port=20049,…,addr=127.0.0.1`
fn tunnelled(line: &str) -> Option<(u16, Mounted)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (filesystem, options) = (kind.next()?, kind.nth(1)?);
    let value = |name: &str| options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    if !matches!(filesystem, "nfs" | "nfs4") || value("addr") != Some("127.0.0.1") {
        return None;
    }
    let mut place = place.split(' ').skip(2);
    let (device, at) = (place.next()?.to_owned(), unescaped(place.nth(1)?));
    Some((
        value("port")?.parse().ok()?,
        Mounted { at, device, rsize: value("rsize").and_then(|size| size.parse().ok()) },
    ))
}

/// Space, tab, newline and backslash stand there in octal.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (escaped, character)| text.replace(escaped, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nfs_from_127_0_0_1_counts_and_by_its_port() {
        let table = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
90 22 0:52 / /mnt/a rw,relatime shared:40 - nfs4 127.0.0.1:/ rw,vers=4.1,rsize=1048576,hard,port=20049,timeo=600,addr=127.0.0.1\n\
91 22 0:52 / /mnt/my\\040files ro - nfs4 127.0.0.1:/ ro,vers=4.1,rsize=1048576,port=20049,addr=127.0.0.1\n\
92 22 0:53 /x /mnt/b rw shared:7 master:2 - nfs4 127.0.0.1:/x rw,vers=4.1,port=20050,clientaddr=127.0.0.1,addr=127.0.0.1\n\
93 22 0:54 / /mnt/c rw - nfs4 10.0.0.9:/ rw,vers=4.1,port=20051,addr=10.0.0.9\n\
94 22 0:55 / /mnt/d rw - nfs4 127.0.0.1:/ rw,vers=4.1,addr=127.0.0.1\n\
95 22 0:56 / /mnt/port=20052 rw - tmpfs tmpfs rw,port=20052,addr=127.0.0.1\n";
        let mounted = |at: &str, device: &str, rsize| Mounted { at: at.into(), device: device.into(), rsize };
        assert_eq!(
            mounts_by_port(table),
            MountsByPort::from([
                (
                    20049,
                    vec![mounted("/mnt/a", "0:52", Some(1048576)), mounted("/mnt/my files", "0:52", Some(1048576))]
                ),
                (20050, vec![mounted("/mnt/b", "0:53", None)]),
            ])
        );
    }
}
