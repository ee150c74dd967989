use std::fs::File;
use std::io::{self, Cursor, Read, Seek, Write};

/// What a header is changed on.
///
/// The implementer promises that after `sync` everything written before is on the disk, whatever happens then.
///
/// # Limitations
/// The lock of a [`File`] is `flock` on itself, as cryptsetup takes it on image files. For block devices cryptsetup locks
/// a file in `/run/cryptsetup` instead: wrap the device in a type of your own where both may change one header at once.
pub trait EditableDevice: Read + Write + Seek {
    /// Makes everything written so far last.
    ///
    /// # Errors
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;

    /// Waits until nobody else holds the device, and takes it.
    ///
    /// # Errors
    /// The system's.
    fn lock(&mut self) -> io::Result<()>;

    /// Gives it up.
    ///
    /// # Errors
    /// The system's.
    fn unlock(&mut self) -> io::Result<()>;
}

/// Fills a buffer with random bytes that nobody can guess.
pub type Random = Box<dyn FnMut(&mut [u8]) -> io::Result<()> + Send>;

/// The system's random numbers.
#[must_use]
pub fn os_random() -> Random {
    Box::new(|bytes| getrandom::fill(bytes).map_err(io::Error::other))
}

impl EditableDevice for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn lock(&mut self) -> io::Result<()> {
        Self::lock(self)
    }

    fn unlock(&mut self) -> io::Result<()> {
        Self::unlock(self)
    }
}

/// A volume in memory.
impl EditableDevice for Cursor<Vec<u8>> {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn unlock(&mut self) -> io::Result<()> {
        Ok(())
    }
}
