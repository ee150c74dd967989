//! The key of the data: in memory that is locked, wiped and never shown.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A volume key that its header's digest has confirmed.
///
/// It lives in a page of its own, which is kept out of swap where the system allows ([`is_locked`](Self::is_locked)),
/// is overwritten on drop, cannot be cloned and is not shown by `Debug`.
///
/// # Limitations
/// A core dump of the process may hold it; `prctl(PR_SET_DUMPABLE, 0)` is the application's to call. The key schedule
/// of an open volume is wiped on drop, but not locked.
pub struct VolumeKey {
    /// Two pages' worth, so that one whole page is in it, wherever the allocator puts it.
    pages: Box<[u8]>,
    start: usize,
    len: usize,
    lock: Option<region::LockGuard>,
}

impl VolumeKey {
    /// Room for a key of `len` bytes.
    pub(crate) fn zeroed(len: usize) -> Self {
        let page = region::page::size();
        let room = len.next_multiple_of(page).max(page);
        let pages = vec![0; room + page].into_boxed_slice();
        let start = pages.as_ptr().align_offset(page);
        // An allocator that does not tell addresses (Miri) leaves the start unaligned; the key is there all the same.
        let start = if start > page { 0 } else { start };
        let lock = pages.get(start).and_then(|first| region::lock(std::ptr::from_ref(first), room).ok());
        Self { pages, start, len, lock }
    }

    /// The key itself. Whatever you copy from it is yours to wipe.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.pages.get(self.start..self.start + self.len).unwrap_or_default()
    }

    pub(crate) fn expose_mut(&mut self) -> &mut [u8] {
        self.pages.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }

    /// Whether the system keeps the key out of swap. `RLIMIT_MEMLOCK` may forbid it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

impl Drop for VolumeKey {
    fn drop(&mut self) {
        // Before the lock is given up by the field's own drop.
        self.pages.zeroize();
    }
}

/// In constant time.
impl PartialEq for VolumeKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for VolumeKey {}

impl fmt::Debug for VolumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VolumeKey({} bit, redacted)", self.len * 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_page_of_its_own_and_is_not_shown() {
        let mut key = VolumeKey::zeroed(64);
        key.expose_mut().fill(0xab);
        assert_eq!(key.expose(), [0xab; 64]);
        assert_eq!(key.expose().as_ptr().align_offset(region::page::size()), 0);
        assert_eq!(format!("{key:?}"), "VolumeKey(512 bit, redacted)");
    }

    #[test]
    fn keys_are_equal_by_their_bytes() {
        let key = |byte| {
            let mut key = VolumeKey::zeroed(32);
            key.expose_mut().fill(byte);
            key
        };
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert_ne!(VolumeKey::zeroed(32), VolumeKey::zeroed(64));
    }
}
