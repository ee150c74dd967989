//! The data of a volume, decrypted as it is read and encrypted as it is written: no root, no device-mapper.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use zeroize::Zeroizing;

use crate::cipher::{CipherError, CipherSpec, SECTOR, SectorCipher};
use crate::payload::PayloadError;
use crate::unlock::Unlocked;

/// As much is encrypted at once before it is written.
const WRITE_CHUNK: usize = 1 << 20;

/// The plaintext of a volume, from 0 to [`len`](Self::len).
///
/// `Read` and `Seek` need `D: Read + Seek`; `Write` needs `D: Write` besides. Whole sectors are decrypted in place, large
/// ranges by several threads. Reads of a few bytes cost a sector each: put a [`BufReader`](io::BufReader) around it.
/// A volume does not grow: writing behind its end gives `Ok(0)`.
///
/// # Limitations
/// Nothing keeps the kernel or another process from writing to the same device.
pub struct LuksVolume<D> {
    device: D,
    cipher: SectorCipher,
    offset: u64,
    len: u64,
    iv_tweak: u64,
    sector_size: u64,
    position: u64,
}

/// Why a volume cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// The header has no data for this key.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The data's cipher cannot be used.
    #[error("the data cannot be decrypted")]
    Cipher(#[from] CipherError),
    /// The header is detached: the data is on another device.
    #[error("the header is detached: give the device with the data to `open_detached`")]
    Detached,
    /// The data ends behind the device.
    #[error("the device has {found} bytes, the data ends at {needed}")]
    #[non_exhaustive]
    BeyondDevice {
        /// Size of the device in bytes
        found: u64,
        /// First byte after the data, or its first byte if its size is that of the device
        needed: u64,
    },
    /// The device's size cannot be found out.
    #[error("the device's size cannot be found out")]
    Io(#[from] io::Error),
}

impl Unlocked {
    /// Opens the data on the device that holds the header too.
    ///
    /// # Errors
    /// [`VolumeError`]; [`VolumeError::Detached`] if this device holds the header only.
    pub fn open<D: Seek>(&self, device: D) -> Result<LuksVolume<D>, VolumeError> {
        if self.payload()?.offset == 0 { Err(VolumeError::Detached) } else { self.open_detached(device) }
    }

    /// Opens the data on a device without a header. Never give it the device with the header: what you write would
    /// overwrite that.
    ///
    /// # Errors
    /// [`VolumeError`]
    pub fn open_detached<D: Seek>(&self, mut device: D) -> Result<LuksVolume<D>, VolumeError> {
        let payload = self.payload()?;
        let spec: CipherSpec = payload.encryption.parse()?;
        let cipher = spec.with_key(self.key().expose(), payload.sector_size as usize)?;
        let sector_size = u64::from(payload.sector_size);
        let found = device.seek(SeekFrom::End(0))?;
        let beyond = |needed| VolumeError::BeyondDevice { found, needed };
        let room = found.checked_sub(payload.offset).ok_or_else(|| beyond(payload.offset))?;
        let len = match payload.size {
            Some(size) if size > room => return Err(beyond(payload.offset.saturating_add(size))),
            Some(size) => size,
            None => room - room % sector_size,
        };
        let (offset, iv_tweak) = (payload.offset, payload.iv_tweak);
        Ok(LuksVolume { device, cipher, offset, len, iv_tweak, sector_size, position: 0 })
    }
}

impl<D> LuksVolume<D> {
    /// Bytes of plaintext.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is not a single sector.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of a sector, the least that is read or written.
    #[must_use]
    pub fn sector_size(&self) -> u64 {
        self.sector_size
    }

    /// The device, whose position is anywhere.
    #[must_use]
    pub fn get_ref(&self) -> &D {
        &self.device
    }

    /// Gives the device back.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }

    /// What is left from here, at most `wanted`.
    fn available(&self, wanted: usize) -> usize {
        usize::try_from(self.len.saturating_sub(self.position)).map_or(wanted, |left| left.min(wanted))
    }

    /// Whole sectors at the position, within `bytes`; none if the position is within a sector.
    fn whole_sectors(&self, bytes: usize) -> usize {
        let sector = self.sector_bytes();
        if self.within_sector() == 0 { bytes - bytes % sector } else { 0 }
    }

    fn within_sector(&self) -> usize {
        usize::try_from(self.position % self.sector_size).unwrap_or_default()
    }

    fn sector_bytes(&self) -> usize {
        usize::try_from(self.sector_size).unwrap_or(SECTOR)
    }

    /// Counted in units of 512 bytes, also where sectors are larger.
    fn iv_number(&self, position: u64) -> u64 {
        self.iv_tweak.wrapping_add(position / SECTOR as u64)
    }
}

impl<D: Read + Seek> LuksVolume<D> {
    /// Fills whole sectors from a position at the beginning of one.
    fn read_sectors(&mut self, position: u64, sectors: &mut [u8]) -> io::Result<()> {
        self.device.seek(SeekFrom::Start(self.offset + position))?;
        self.device.read_exact(sectors)?;
        self.cipher.decrypt(self.iv_number(position), sectors);
        Ok(())
    }

    /// The sector around the position.
    fn read_sector(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut sector = Zeroizing::new(vec![0; self.sector_bytes()]);
        self.read_sectors(self.position - self.position % self.sector_size, &mut sector)?;
        Ok(sector)
    }
}

impl<D: Write + Seek> LuksVolume<D> {
    fn write_sectors(&mut self, position: u64, sectors: &mut [u8]) -> io::Result<()> {
        self.cipher.encrypt(self.iv_number(position), sectors);
        self.device.seek(SeekFrom::Start(self.offset + position))?;
        self.device.write_all(sectors)
    }
}

impl<D: Read + Seek> Read for LuksVolume<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.available(buffer.len());
        let whole = self.whole_sectors(available);
        let count = if let Some(sectors) = buffer.get_mut(..whole).filter(|sectors| !sectors.is_empty()) {
            self.read_sectors(self.position, sectors)?;
            whole
        } else if available == 0 {
            0
        } else {
            let sector = self.read_sector()?;
            let plain = sector.iter().skip(self.within_sector());
            buffer.iter_mut().take(available).zip(plain).map(|(target, byte)| *target = *byte).count()
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl<D: Read + Write + Seek> Write for LuksVolume<D> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let available = self.available(buffer.len()).min(WRITE_CHUNK);
        let whole = self.whole_sectors(available);
        let count = if let Some(plain) = buffer.get(..whole).filter(|plain| !plain.is_empty()) {
            let mut sectors = Zeroizing::new(plain.to_vec());
            self.write_sectors(self.position, &mut sectors)?;
            whole
        } else if available == 0 {
            0
        } else {
            let within = self.within_sector();
            let mut sector = self.read_sector()?;
            let target = sector.iter_mut().skip(within);
            let count = target.zip(buffer.iter().take(available)).map(|(target, byte)| *target = *byte).count();
            self.write_sectors(self.position - within as u64, &mut sector)?;
            count
        };
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

/// As for a file, a position behind the end is allowed.
impl<D: Seek> Seek for LuksVolume<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.len.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the position is before the beginning of the volume or above 2^64",
            )
        })?;
        Ok(self.position)
    }
}

impl<D> fmt::Debug for LuksVolume<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, len, sector_size, .. } = self;
        write!(f, "LuksVolume({len} bytes at {offset}, sectors of {sector_size})")
    }
}
