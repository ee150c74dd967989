//! What the server states about the root directory.

use std::fmt;

/// Rights in a directory: the bits of ACCESS (RFC 8881 section 18.1.4).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Access(u32);

impl Access {
    /// List the directory.
    pub const READ: Self = Self(0x01);
    /// Look a name up in it.
    pub const LOOKUP: Self = Self(0x02);
    /// Change its entries.
    pub const MODIFY: Self = Self(0x04);
    /// Add entries.
    pub const EXTEND: Self = Self(0x08);
    /// Remove an entry.
    pub const DELETE: Self = Self(0x10);
    /// Execute: without meaning for a directory.
    pub const EXECUTE: Self = Self(0x20);

    const ENTER: Self = Self::READ.union(Self::LOOKUP);
    const WRITE: Self = Self::MODIFY.union(Self::EXTEND).union(Self::DELETE);
    const NAMED: [(Self, &str); 6] = [
        (Self::READ, "READ"),
        (Self::LOOKUP, "LOOKUP"),
        (Self::MODIFY, "MODIFY"),
        (Self::EXTEND, "EXTEND"),
        (Self::DELETE, "DELETE"),
        (Self::EXECUTE, "EXECUTE"),
    ];

    /// Whether every right of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The rights of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rights that are in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rights that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is no right in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of its rights in RFC 8881, without `ACCESS4_`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(right, _)| self.contains(*right)).map(|(_, name)| name)
    }

    pub(super) const fn all() -> Self {
        Self::ENTER.union(Self::WRITE).union(Self::EXECUTE)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// Bits that are not in RFC 8881 are left out.
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits).intersection(Self::all())
    }

    /// What one digit of the mode of a directory gives.
    const fn by_mode_digit(digit: u32) -> Self {
        let mut rights = Self(0);
        if digit & 4 != 0 {
            rights = rights.union(Self::READ);
        }
        if digit & 2 != 0 {
            rights = rights.union(Self::WRITE);
        }
        if digit & 1 != 0 {
            rights = rights.union(Self::LOOKUP);
        }
        rights
    }
}

/// The names, separated by commas.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(if names.is_empty() { "nothing" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({self})")
    }
}

/// We are let in: the root of the file system or of the access point can be had.
///
/// That says nothing of the credentials where the file system admits anonymous clients too, as it does without a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Admission {
    /// The user in whose name was asked.
    pub uid: u32,
    /// And its group.
    pub gid: u32,
    /// The rights about which the server says that it can tell.
    pub supported: Access,
    /// The rights out of these that the user has in the root directory.
    pub granted: Access,
    /// The root directory; `None` when the server does not describe it.
    pub root: Option<RootDirectory>,
}

/// The attributes of the root directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RootDirectory {
    /// Its owner as the server writes it: a number, or `name@domain` (RFC 8881 section 5.9).
    pub owner: String,
    /// Its group, likewise.
    pub group: String,
    /// Permissions, for example `0o755`.
    pub mode: u32,
}

impl Admission {
    /// The rights that the server could grant and does not.
    pub fn withheld(&self) -> Access {
        self.supported.without(self.granted)
    }

    /// Whether user 0 is taken for an ordinary user, as by EFS without `elasticfilesystem:ClientRootAccess` and by an access
    /// point that sets the user. `None` when another user was asked for, or when what is granted fits both.
    ///
    /// The server does not say it. It follows when user 0 may not even enter, as it may everywhere; and its contrary when
    /// user 0 may do in its own directory what the mode gives to no group and no other user.
    pub fn root_squashed(&self) -> Option<bool> {
        if self.uid != 0 {
            return None;
        }
        if !self.withheld().intersection(Access::ENTER).is_empty() {
            return Some(true);
        }
        let root = self.root.as_ref().filter(|root| matches!(root.owner.split('@').next(), Some("0" | "root")))?;
        let given_to_others = Access::by_mode_digit(root.mode >> 3).union(Access::by_mode_digit(root.mode));
        let beyond = self.granted.without(given_to_others).without(Access::EXECUTE);
        (!beyond.is_empty()).then_some(false)
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "admitted as user {}:{}: {}", self.uid, self.gid, self.granted)?;
        if !self.withheld().without(Access::EXECUTE).is_empty() {
            write!(f, " (not {})", self.withheld().without(Access::EXECUTE))?;
        }
        Ok(())
    }
}

impl fmt::Display for RootDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}, mode {:04o}", self.owner.escape_debug(), self.group.escape_debug(), self.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(uid: u32, granted: Access, owner: &str, mode: u32) -> Admission {
        let root = RootDirectory { owner: owner.into(), group: "0".into(), mode };
        Admission { uid, gid: 0, supported: Access::all(), granted, root: Some(root) }
    }

    #[test]
    fn rights_are_named_as_in_the_rfc_and_foreign_bits_are_dropped() {
        assert_eq!(Access::from_bits(0x1ff), Access::all());
        assert_eq!(Access::all().to_string(), "READ, LOOKUP, MODIFY, EXTEND, DELETE, EXECUTE");
        assert_eq!(Access::from_bits(0).to_string(), "nothing");
        assert_eq!(Access::all().without(Access::WRITE).names().collect::<Vec<_>>(), ["READ", "LOOKUP", "EXECUTE"]);
        assert!(Access::all().contains(Access::WRITE) && !Access::ENTER.contains(Access::WRITE));
    }

    #[test]
    fn that_root_is_squashed_is_said_only_where_it_follows() {
        let full = Access::all();
        for (uid, granted, owner, mode, expected) in [
            (0, full, "0", 0o755, Some(false)),
            (0, full, "root@example.org", 0o755, Some(false)),
            (0, Access::ENTER, "0", 0o700, Some(false)),
            // Read-only and squashed look the same.
            (0, Access::ENTER, "0", 0o755, None),
            // So do root and anybody else, where everybody may do everything.
            (0, full, "0", 0o777, None),
            (0, full, "0", 0o775, None),
            // An access point may have made us the owner.
            (0, full, "1000", 0o755, None),
            (0, Access::READ, "0", 0o755, Some(true)),
            (0, Access::default(), "1000", 0o700, Some(true)),
            (1000, Access::default(), "0", 0o700, None),
        ] {
            let admission = admission(uid, granted, owner, mode);
            assert_eq!(admission.root_squashed(), expected, "{admission} {owner} {mode:o}");
        }
        let undescribed = Admission { root: None, ..admission(0, full, "0", 0o755) };
        assert_eq!(undescribed.root_squashed(), None);
        // What the server cannot tell is not withheld.
        let silent = Admission { supported: Access::WRITE, ..admission(0, Access::WRITE, "0", 0o755) };
        assert_eq!(silent.root_squashed(), Some(false));
    }
}
