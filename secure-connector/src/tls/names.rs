//! Names: what a certificate has to be for, and what is sent as server name. Two types, because they are two decisions.

use std::{fmt, net::IpAddr, str::FromStr};

use rustls::pki_types::{DnsName, ServerName};

use crate::Verified;

/// A DNS name or an IP address that the peer's certificate has to be for.
///
/// A DNS name is compared with the `dNSName` entries of the certificate's subjectAltName, an address with its
/// `iPAddress` entries (RFC 9525 section 6); common names are never consulted. Letter case does not matter, a trailing
/// dot is dropped, an underscore is allowed. An IPv6 address may stand in brackets, as in a URL.
///
/// ```
/// use secure_connector::VerifiedName;
/// let name: VerifiedName = "FS-0123456789abcdef0.efs.us-east-1.amazonaws.com.".parse()?;
/// assert_eq!(name.to_string(), "fs-0123456789abcdef0.efs.us-east-1.amazonaws.com");
/// assert_eq!("[::1]".parse::<VerifiedName>()?.to_string(), "::1");
/// # Ok::<(), secure_connector::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VerifiedName(ServerName<'static>);

/// What to send as server name (SNI, RFC 6066 section 3). It selects a certificate at the peer and proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sni {
    /// The host that is dialled, when it is a name; nothing when it is an address.
    #[default]
    FromTarget,
    /// This name.
    Name(SniName),
    /// Nothing.
    Off,
}

/// A name that may be sent as SNI: never an address, because "literal IPv4 and IPv6 addresses are not permitted in
/// `HostName`" (RFC 6066 section 3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SniName(DnsName<'static>);

/// Why a text is not a name that can be verified or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or only a dot.
    #[error("the name is empty: write a host name such as `db.example.com`, or an IP address")]
    Empty,
    /// OpenSSL takes `.example.com` for "any subdomain"; we do not.
    #[error("{name:?} starts with a dot; it is no host name: write the whole name, such as `host{name}`")]
    LeadingDot {
        /// The text as given.
        name: String,
    },
    /// A wildcard may stand in a certificate, never in the name that is asked for.
    #[error("{name:?} has a wildcard, which only a certificate may have: write the name of one host, such as `{}`",
        name.replace('*', "host"))]
    Wildcard {
        /// The text as given.
        name: String,
    },
    /// Certificates and DNS carry internationalised names as A-labels (RFC 5890 section 2.3.2.1).
    #[error("{name:?} is not ASCII: {}", match a_label {
        Some(a_label) => format!("write its A-label form `{a_label}`"),
        None => "and it has no A-label form (RFC 5891): correct the name".into(),
    })]
    NotAscii {
        /// The text as given.
        name: String,
        /// How to write it.
        a_label: Option<String>,
    },
    /// Two dots in a row.
    #[error("{name:?} has two dots in a row: write one dot between labels, as in `db.example.com`")]
    EmptyLabel {
        /// The text as given.
        name: String,
    },
    /// "Labels must be 63 characters or less" (RFC 1035 section 2.3.1).
    #[error("the label {label:?} has {} characters: write at most 63 between two dots", label.len())]
    LabelTooLong {
        /// The label.
        label: String,
    },
    /// RFC 1035 section 2.3.4 allows 255 octets on the wire, which are 253 characters.
    #[error("the name has {length} characters: write at most 253")]
    NameTooLong {
        /// Its length without a trailing dot.
        length: usize,
    },
    /// "\[The labels\] must start with a letter, end with a letter or digit" (RFC 1035 section 2.3.1).
    #[error("the label {label:?} starts or ends with a hyphen: write `{}`", label.trim_matches('-'))]
    Hyphen {
        /// The label.
        label: String,
    },
    /// A character that no host name has.
    #[error(
        "{name:?} has the character {character:?}: write letters, digits, `-`, `_` and dots only, as in \
        `db.example.com`"
    )]
    Character {
        /// The text as given.
        name: String,
        /// The first such character.
        character: char,
    },
    /// A port, which is no part of a name.
    #[error("{name:?} has a port: write `{host}` alone")]
    Port {
        /// The text as given.
        name: String,
        /// It without the port.
        host: String,
    },
    /// A name whose last label is a number would be taken for an address by some programs and not by others.
    #[error("{name:?} ends in a number and is no IP address: write four decimal numbers, as in `10.0.0.9`, or a name")]
    NumericEnd {
        /// The text as given.
        name: String,
    },
    /// An address where only a name may stand.
    #[error(
        "{address} is an IP address, which is never sent as server name (RFC 6066 section 3): write a DNS name, or \
        switch the server name off"
    )]
    Address {
        /// The address.
        address: IpAddr,
    },
}

impl VerifiedName {
    pub(crate) fn as_server_name(&self) -> &ServerName<'static> {
        &self.0
    }

    /// What is proven once a trusted certificate matches this name.
    pub(crate) fn as_verified(&self) -> Verified {
        match &self.0 {
            ServerName::IpAddress(ip) => Verified::IpAddress((*ip).into()),
            name => Verified::DnsName(name.to_str().into_owned()),
        }
    }
}

impl FromStr for VerifiedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match address(text) {
            Some(ip) => Ok(ip.into()),
            None => dns_name(text).map(|name| Self(name.into())),
        }
    }
}

impl From<IpAddr> for VerifiedName {
    fn from(address: IpAddr) -> Self {
        Self(address.into())
    }
}

impl From<SniName> for VerifiedName {
    fn from(name: SniName) -> Self {
        Self(name.0.into())
    }
}

impl fmt::Display for VerifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_str())
    }
}

impl FromStr for SniName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match address(text) {
            Some(address) => Err(NameError::Address { address }),
            None => dns_name(text).map(Self),
        }
    }
}

impl From<SniName> for Sni {
    fn from(name: SniName) -> Self {
        Self::Name(name)
    }
}

impl SniName {
    pub(super) fn server_name(&self) -> ServerName<'static> {
        ServerName::DnsName(self.0.clone())
    }
}

impl fmt::Display for SniName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn dns_name(text: &str) -> Result<DnsName<'static>, NameError> {
    // The root's dot of an absolute name is not part of what certificates carry (RFC 9525 section 6.3 compares labels)
    // and must not be sent: "The hostname is represented as a byte string using ASCII encoding without a trailing dot"
    // (RFC 6066 section 3).
    let name = text.strip_suffix('.').unwrap_or(text);
    check(name)?;
    let numeric_end = || NameError::NumericEnd { name: name.to_owned() };
    DnsName::try_from(name.to_ascii_lowercase()).map_err(|_| numeric_end())
}

/// Every rule of `DnsName` but the one about a numeric last label, with a reason for each.
fn check(name: &str) -> Result<(), NameError> {
    let owned = || name.to_owned();
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.starts_with('.') {
        return Err(NameError::LeadingDot { name: owned() });
    }
    if name.contains('*') {
        return Err(NameError::Wildcard { name: owned() });
    }
    if !name.is_ascii() {
        let a_label = idna::domain_to_ascii(name).ok().filter(|a_label| dns_name(a_label).is_ok());
        return Err(NameError::NotAscii { name: owned(), a_label });
    }
    if let Some((host, port)) = name.rsplit_once(':')
        && port.parse::<u16>().is_ok()
        && host.parse::<VerifiedName>().is_ok()
    {
        return Err(NameError::Port { name: owned(), host: host.to_owned() });
    }
    if let Some(character) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !['-', '_', '.'].contains(c)) {
        return Err(NameError::Character { name: owned(), character });
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyLabel { name: owned() });
        }
        if label.len() > 63 {
            return Err(NameError::LabelTooLong { label: label.to_owned() });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Hyphen { label: label.to_owned() });
        }
    }
    if name.len() > 253 {
        return Err(NameError::NameTooLong { length: name.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn parsed(text: &str) -> VerifiedName {
        text.parse().unwrap()
    }

    #[track_caller]
    fn refused(text: &str, wanted: NameError, spelling: &str) {
        let error = text.parse::<VerifiedName>().unwrap_err();
        assert_eq!(error, wanted);
        assert!(error.to_string().contains(spelling), "{error}");
        if !matches!(wanted, NameError::Port { .. }) {
            assert_eq!(text.parse::<SniName>().unwrap_err(), wanted);
        }
    }

    #[test]
    fn names_are_lower_case_without_the_dot_of_the_root() {
        assert_eq!(parsed("FS-123.efs.Example.COM.").to_string(), "fs-123.efs.example.com");
        assert_eq!(parsed("FS-123.efs.Example.COM."), parsed("fs-123.efs.example.com"));
        assert_eq!("LOCALHOST.".parse::<SniName>().unwrap().to_string(), "localhost");
        assert_eq!(parsed("fs_123.efs.example.com").to_string(), "fs_123.efs.example.com");
        assert_eq!(parsed("XN--BCHER-KVA.example").to_string(), "xn--bcher-kva.example");
        assert_eq!(parsed("1-2.3.4x").to_string(), "1-2.3.4x");
    }

    #[test]
    fn an_address_is_an_address_whatever_its_spelling() {
        for (text, address) in [("10.0.0.9", "10.0.0.9"), ("2001:DB8:0::1", "2001:db8::1"), ("[::1]", "::1")] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(parsed(text), VerifiedName::from(address));
            assert_eq!(parsed(text).as_verified(), Verified::IpAddress(address));
            assert_eq!(text.parse::<SniName>(), Err(NameError::Address { address }));
        }
        let name = || "[10.0.0.9]".to_owned();
        refused("[10.0.0.9]", NameError::Character { name: name(), character: '[' }, "'['");
        refused("fe80::1%eth0", NameError::Character { name: "fe80::1%eth0".into(), character: ':' }, "':'");
    }

    #[test]
    fn what_is_no_name_says_how_to_write_it() {
        let name = |text: &str| text.to_owned();
        refused("", NameError::Empty, "`db.example.com`");
        refused(".", NameError::Empty, "`db.example.com`");
        refused(".example.com", NameError::LeadingDot { name: name(".example.com") }, "`host.example.com`");
        refused("*.example.com", NameError::Wildcard { name: name("*.example.com") }, "`host.example.com`");
        refused("a..example.com", NameError::EmptyLabel { name: name("a..example.com") }, "one dot");
        refused("example.com..", NameError::EmptyLabel { name: name("example.com.") }, "one dot");
        refused("-a.example", NameError::Hyphen { label: name("-a") }, "`a`");
        refused("a-.example", NameError::Hyphen { label: name("a-") }, "`a`");
        refused("a b.example", NameError::Character { name: name("a b.example"), character: ' ' }, "letters, digits");
        refused("10.0.0", NameError::NumericEnd { name: name("10.0.0") }, "`10.0.0.9`");
        refused("127.0.0.1.", NameError::NumericEnd { name: name("127.0.0.1") }, "four decimal numbers");
    }

    #[test]
    fn what_is_not_ascii_is_told_its_a_label() {
        let not_ascii = |text: &str, a_label: Option<&str>| NameError::NotAscii {
            name: text.to_owned(),
            a_label: a_label.map(str::to_owned),
        };
        refused(
            "bücher.example",
            not_ascii("bücher.example", Some("xn--bcher-kva.example")),
            "`xn--bcher-kva.example`",
        );
        refused(
            "BÜCHER.example",
            not_ascii("BÜCHER.example", Some("xn--bcher-kva.example")),
            "`xn--bcher-kva.example`",
        );
        refused("ü\u{202e}.example", not_ascii("ü\u{202e}.example", None), "no A-label form");
    }

    #[test]
    fn a_port_is_no_part_of_a_name() {
        let port = |name: &str, host: &str| NameError::Port { name: name.to_owned(), host: host.to_owned() };
        refused("db.example:6379", port("db.example:6379", "db.example"), "`db.example`");
        refused("[::1]:6379", port("[::1]:6379", "[::1]"), "`[::1]`");
        refused("10.0.0.9:6379", port("10.0.0.9:6379", "10.0.0.9"), "`10.0.0.9`");
    }

    #[test]
    fn lengths_are_those_of_rfc_1035() {
        let label = "a".repeat(63);
        assert!(parsed(&label).to_string() == label);
        refused(&format!("{label}a.b"), NameError::LabelTooLong { label: format!("{label}a") }, "at most 63");
        let name = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(parsed(&format!("{name}.")).to_string().len(), 253);
        refused(&format!("{name}a"), NameError::NameTooLong { length: 254 }, "at most 253");
    }

    proptest! {
        /// Our rules are those of the type that does the matching: none is missing, and each refusal has its own reason.
        #[test]
        fn every_text_is_a_name_or_has_a_reason(text in "[-a-z0-9_.*:\\[\\]üA-Z]{0,70}|\\PC{0,20}|[0-9.]{0,9}") {
            match text.parse::<VerifiedName>() {
                Ok(name) => prop_assert_eq!(name.to_string().parse::<VerifiedName>(), Ok(name)),
                Err(NameError::NumericEnd { name }) => {
                    prop_assert!(name.rsplit('.').next().unwrap().bytes().all(|b| b.is_ascii_digit()), "{}", name);
                }
                Err(error) => prop_assert!(DnsName::try_from(text.as_str()).is_err(), "{}", error),
            }
        }
    }
}
