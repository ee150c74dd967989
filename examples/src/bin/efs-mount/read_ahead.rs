//! The kernel reads 128 KiB ahead of an NFS client since Linux 5.4; before, and with the EFS mount helper, it is 15 times `rsize`.

use std::{fs, io, path::Path};

use crate::mount_table::Mounted;

/// sysfs(5): "backing device information" by device number.
pub(crate) const BDI: &str = "/sys/class/bdi";

/// Raises the read-ahead of a new mount; a value that is higher stays.
pub(crate) fn raise(mounted: &Mounted, bdi: &Path) -> io::Result<()> {
    let Some(rsize) = mounted.rsize else { return Ok(()) };
    let (path, wanted) = (bdi.join(&mounted.device).join("read_ahead_kb"), 15 * rsize / 1024);
    let now: u64 = fs::read_to_string(&path)?.trim().parse().map_err(io::Error::other)?;
    if now < wanted { fs::write(&path, wanted.to_string()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_value_is_raised_and_a_higher_one_stays() {
        let bdi = tempfile::tempdir().unwrap();
        let file = bdi.path().join("0:52/read_ahead_kb");
        fs::create_dir(bdi.path().join("0:52")).unwrap();
        for (before, rsize, after) in
            [("128\n", Some(1048576), "15360"), ("20000\n", Some(1048576), "20000\n"), ("128\n", None, "128\n")]
        {
            fs::write(&file, before).unwrap();
            raise(&Mounted { at: "/mnt".into(), device: "0:52".into(), rsize }, bdi.path()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
        }
        let elsewhere = Mounted { at: "/mnt".into(), device: "0:99".into(), rsize: Some(1) };
        assert_eq!(raise(&elsewhere, bdi.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
