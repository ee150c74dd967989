//! Trust anchors: which CAs may vouch for the peer.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use x509_parser::time::ASN1Time;

use crate::{
    BoxError,
    tls::{certificate, pem},
};

/// Trust anchors. There is at least one.
///
/// What is listed is trusted, whether it is a root, an intermediate or a self-signed server certificate; the report of a
/// connection says when the anchor that it rests on is not self-signed. Two things differ from a bare list:
///
/// - An anchor counts only inside its validity period, as in OpenSSL and unlike in rustls-webpki. That is judged anew at
///   every verification and not at loading, because a process outlives anchors, and because a clock that is wrong at
///   start must not empty the list for good.
/// - An anchor with an RSA key below 2048 bits is left out when it is loaded.
///
/// Both are reported by [`Warning::AnchorsDropped`](crate::Warning::AnchorsDropped).
#[derive(Clone)]
pub struct Roots {
    /// In the form that webpki wants; `facts` has the same order and length.
    anchors: Vec<TrustAnchor<'static>>,
    facts: Vec<AnchorFacts>,
    dropped: Vec<Dropped>,
}

/// A certificate that was given and is no anchor.
#[derive(Clone, Debug)]
enum Dropped {
    Weak { subject: String, key: String },
    Unreadable(String),
}

/// What webpki's anchors do not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnchorFacts {
    pub(crate) subject: String,
    pub(crate) self_issued: bool,
    pub(crate) signs_crls: bool,
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

/// Why there are no trust anchors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// The file cannot be read.
    #[error("cannot read the trust anchors in {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One certificate cannot be read. Nothing is taken: a trust anchor that is silently missing shows up much later.
    #[error("certificate {index} (first = 0) of {origin} cannot be read: replace or remove it")]
    Certificate {
        /// The file, or what else it was.
        origin: String,
        /// Its place.
        index: usize,
        /// What is wrong with it.
        source: BoxError,
    },
    /// There is no certificate at all.
    #[error("{origin} has no certificate: expected PEM blocks `CERTIFICATE`, or one certificate in DER")]
    Empty {
        /// The file, or what else it was.
        origin: String,
    },
    /// Every certificate had to be left out.
    #[error("no trust anchor can be used: {}", dropped.join("; "))]
    NoneUsable {
        /// Each one with the reason.
        dropped: Vec<String>,
    },
    /// The trust store of this system is missing or empty.
    #[error("this system has no trust store ({}): install ca-certificates, or give the anchors themselves", errors.join("; "))]
    Native {
        /// What the search met.
        errors: Vec<String>,
    },
}

impl Roots {
    /// The trust store of this system; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace it. Takes milliseconds: load once.
    ///
    /// Certificates and files of the store that cannot be read are left out and reported as dropped.
    ///
    /// # Errors
    /// [`RootsError::Native`], [`RootsError::NoneUsable`].
    pub fn native() -> Result<Self, RootsError> {
        let store = rustls_native_certs::load_native_certs();
        let mut roots = Self::nothing();
        let errors: Vec<_> = store.errors.iter().map(ToString::to_string).collect();
        if store.certs.is_empty() {
            return Err(RootsError::Native { errors });
        }
        roots.dropped.extend(errors.into_iter().map(Dropped::Unreadable));
        for (index, der) in store.certs.iter().enumerate() {
            if let Err(e) = roots.add(der) {
                let what = format!("certificate {index} of the system's trust store cannot be read: {e}");
                roots.dropped.push(Dropped::Unreadable(what));
            }
        }
        roots.not_empty()
    }

    /// Amazon Root CA 1 to 4, built in: what the servers of AWS regions chain to. See <https://www.amazontrust.com>.
    #[expect(clippy::missing_panics_doc, reason = "the certificates are built in, and a test reads them")]
    pub fn amazon() -> Self {
        let mut roots = Self::nothing();
        for der in AMAZON {
            roots.add(&CertificateDer::from(der)).expect("the built-in certificates can be read");
        }
        roots
    }

    /// Every `CERTIFICATE` block of a PEM text; other blocks and text are skipped.
    ///
    /// # Errors
    /// [`RootsError`] when a certificate cannot be read or none can be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsError> {
        Self::read_pem(pem, "the PEM text")
    }

    /// One certificate in DER.
    ///
    /// # Errors
    /// [`RootsError`] when it cannot be read or used.
    pub fn from_der(der: &[u8]) -> Result<Self, RootsError> {
        Self::read_der(der, "the DER certificate")
    }

    /// A CA file: PEM with any number of certificates, or one certificate in DER.
    ///
    /// # Errors
    /// [`RootsError`] when the file or a certificate cannot be read, or none can be used.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RootsError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| RootsError::Read { path: path.to_owned(), source })?;
        let origin = path.display().to_string();
        if certificate::is_der(&bytes) { Self::read_der(&bytes, &origin) } else { Self::read_pem(&bytes, &origin) }
    }

    /// These and `others`.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        for (anchor, facts) in others.anchors.into_iter().zip(others.facts) {
            self.push(anchor, facts);
        }
        self.dropped.extend(others.dropped);
        self
    }

    /// Subjects of the anchors, RFC 4514 string form.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.facts.iter().map(|facts| facts.subject.as_str())
    }

    /// What was left out at loading, each with the reason.
    pub fn dropped(&self) -> impl Iterator<Item = String> {
        self.dropped.iter().map(ToString::to_string)
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = &AnchorFacts> {
        self.facts.iter()
    }

    /// The key for which an anchor of this subject was left out.
    pub(crate) fn weak_key_of(&self, wanted: &str) -> Option<&str> {
        self.dropped.iter().find_map(|dropped| match dropped {
            Dropped::Weak { subject, key } if subject == wanted => Some(key.as_str()),
            _ => None,
        })
    }

    /// `anchor` is one of [`anchors`](Self::anchors), by address: two anchors may differ in their dates only.
    pub(crate) fn facts_of(&self, anchor: &TrustAnchor<'_>) -> Option<&AnchorFacts> {
        let index = self.anchors.iter().position(|candidate| std::ptr::eq(candidate, anchor))?;
        self.facts.get(index)
    }

    /// What is left out at `at`, each with the reason.
    pub(crate) fn left_out(&self, at: UnixTime) -> Vec<String> {
        let not_current = self.facts.iter().filter_map(|facts| {
            let (word, limit) = match at {
                _ if at > facts.not_after => ("expired at", facts.not_after),
                _ if at < facts.not_before => ("not valid before", facts.not_before),
                _ => return None,
            };
            let limit = crate::Rfc3339(certificate::from_unix(limit));
            Some(format!("{}: {word} {limit}", facts.subject))
        });
        self.dropped().chain(not_current).collect()
    }

    fn read_pem(pem: &[u8], origin: &str) -> Result<Self, RootsError> {
        let mut roots = Self::nothing();
        let mut found = false;
        for (index, der) in pem::blocks::<CertificateDer<'_>>(pem).enumerate() {
            let added = der.map_err(BoxError::from).and_then(|der| roots.add(&der));
            added.map_err(|source| RootsError::Certificate { origin: origin.to_owned(), index, source })?;
            found = true;
        }
        if !found {
            return Err(RootsError::Empty { origin: origin.to_owned() });
        }
        roots.not_empty()
    }

    fn read_der(der: &[u8], origin: &str) -> Result<Self, RootsError> {
        let mut roots = Self::nothing();
        let added = roots.add(&CertificateDer::from(der));
        added.map_err(|source| RootsError::Certificate { origin: origin.to_owned(), index: 0, source })?;
        roots.not_empty()
    }

    fn nothing() -> Self {
        Self { anchors: Vec::new(), facts: Vec::new(), dropped: Vec::new() }
    }

    fn not_empty(self) -> Result<Self, RootsError> {
        if self.anchors.is_empty() {
            Err(RootsError::NoneUsable { dropped: self.dropped().collect() })
        } else {
            Ok(self)
        }
    }

    fn add(&mut self, der: &CertificateDer<'_>) -> Result<(), BoxError> {
        let anchor = webpki::anchor_from_trusted_cert(der)?.to_owned();
        let parsed = certificate::parse(der).map_err(|e| e.to_string())?;
        let subject = certificate::subject(&parsed);
        if let Some(key) = certificate::weak_key(&parsed) {
            self.dropped.push(Dropped::Weak { subject, key });
            return Ok(());
        }
        let facts = AnchorFacts {
            subject,
            self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            // "If a key usage extension is present in the CRL issuer's certificate, verify that the cRLSign bit is set"
            // (RFC 5280 section 6.3.3 (f)). webpki asks intermediates only.
            signs_crls: parsed.key_usage()?.is_none_or(|usage| usage.value.crl_sign()),
            not_before: unix_time(&parsed.validity().not_before),
            not_after: unix_time(&parsed.validity().not_after),
        };
        self.push(anchor, facts);
        Ok(())
    }

    fn push(&mut self, anchor: TrustAnchor<'static>, facts: AnchorFacts) {
        let known = self.anchors.iter().zip(&self.facts).any(|known| known == (&anchor, &facts));
        if !known {
            self.anchors.push(anchor);
            self.facts.push(facts);
        }
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("anchors", &self.anchors.len()).field("dropped", &self.dropped).finish()
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weak { subject, key } => write!(f, "{subject}: its key {key} is below 2048 bits"),
            Self::Unreadable(what) => f.write_str(what),
        }
    }
}

fn unix_time(time: &ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.timestamp().try_into().unwrap_or(0)))
}

const AMAZON: [&[u8]; 4] = [
    include_bytes!("amazon/root-ca-1.der"),
    include_bytes!("amazon/root-ca-2.der"),
    include_bytes!("amazon/root-ca-3.der"),
    include_bytes!("amazon/root-ca-4.der"),
];

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// As published at <https://www.amazontrust.com/repository/>.
    #[test]
    fn the_built_in_certificates_are_those_that_amazon_published() {
        let published = [
            "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
            "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
            "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
            "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        ];
        assert_eq!(AMAZON.map(|der| certificate::lower_hex(&Sha256::digest(der))), published);
    }
}
