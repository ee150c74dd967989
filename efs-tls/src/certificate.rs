//! The client certificate: what to ask for, making it, and what was made.

mod extensions;
mod identification;
mod signing;
mod x509;

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use der::DateTime;
use secure_connector::AuthenticatedAs;
use zeroize::Zeroizing;

pub use self::extensions::{ClientAuth, EfsCertificate, EfsCertificateError};
pub use self::identification::{ClientInfo, CommonName};
pub use self::signing::SignedConnect;
use crate::{AccessPointId, ClientKey, FileSystemId, PublicKeyHash, Region, Service};

/// What a client certificate is to say. Making one from it is a pure function of the key, the credentials and the time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateRequest {
    service: Service,
    region: Region,
    file_system: FileSystemId,
    access_point: Option<AccessPointId>,
    common_name: CommonName,
    client_info: ClientInfo,
    serial: u64,
}

impl CertificateRequest {
    /// A certificate for a file system of Amazon EFS, without an access point, with serial number 0.
    #[must_use]
    pub fn new(file_system: FileSystemId, region: Region, common_name: CommonName) -> Self {
        Self {
            service: Service::default(),
            region,
            file_system,
            access_point: None,
            common_name,
            client_info: ClientInfo::default(),
            serial: 0,
        }
    }

    /// For a file system of another service.
    #[must_use]
    pub const fn service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// To enter through an access point.
    #[must_use]
    pub fn access_point(mut self, access_point: AccessPointId) -> Self {
        self.access_point = Some(access_point);
        self
    }

    /// To introduce the client as other software.
    #[must_use]
    pub fn client_info(mut self, client_info: ClientInfo) -> Self {
        self.client_info = client_info;
        self
    }

    /// Serial number of the certificate. The EFS mount helper starts at 0 and counts up with each renewal.
    #[must_use]
    pub const fn serial(mut self, serial: u64) -> Self {
        self.serial = serial;
        self
    }

    /// Makes the certificate, as the EFS mount helper does, byte for byte. It is valid from 15 minutes before `now`,
    /// for clocks that differ, until 3 hours after.
    ///
    /// With `credentials` the client authenticates to IAM by them; without, it is anonymous.
    ///
    /// # Errors
    /// [`CertificateError`], one variant per reason.
    pub fn issue(
        &self,
        key: &ClientKey,
        credentials: Option<&Credentials>,
        now: SystemTime,
    ) -> Result<ClientCertificate, CertificateError> {
        let signed = credentials.map(|credentials| self.sign(&key.public_key_hash(), credentials, now)).transpose()?;
        let [not_before, not_after] =
            [now.checked_sub(BEFORE_NOW), now.checked_add(AFTER_NOW)].map(|time| utc_second(time, now));
        let (not_before, not_after) = (not_before?, not_after?);
        let der = x509::self_signed(self, key, signed.as_ref(), not_before, not_after)?;
        Ok(ClientCertificate {
            der,
            not_before: not_before.to_system_time(),
            not_after: not_after.to_system_time(),
            credentials_expire_at: credentials.and_then(Credentials::expiry),
            signed,
        })
    }

    /// Adds what the certificate says beside the principal.
    pub(crate) fn describe(&self, who: AuthenticatedAs) -> AuthenticatedAs {
        let who = who.with("file_system", self.file_system.to_string());
        match &self.access_point {
            Some(access_point) => who.with("access_point", access_point.to_string()),
            None => who,
        }
    }

    /// Signs the connection with the credentials, for a key of which only the hash is known.
    ///
    /// [`issue`](Self::issue) does this itself; alone it serves to check what another client signed.
    ///
    /// # Errors
    /// [`CertificateError`], one variant per reason.
    pub fn sign(
        &self,
        public_key: &PublicKeyHash,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<SignedConnect, CertificateError> {
        signing::check(credentials, now)?;
        Ok(SignedConnect::new(self, public_key, credentials, utc_second(Some(now), now)?))
    }
}

/// A client certificate, self-signed, for one file system.
///
/// It carries the session token of the credentials, so its DER belongs into TLS handshakes and not into logs.
pub struct ClientCertificate {
    der: Zeroizing<Vec<u8>>,
    not_before: SystemTime,
    not_after: SystemTime,
    credentials_expire_at: Option<SystemTime>,
    signed: Option<SignedConnect>,
}

impl ClientCertificate {
    /// The X.509 certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Start of the validity period: 15 minutes before it was made, to the second.
    pub const fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// End of the validity period: 3 hours after it was made, to the second.
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// When the credentials expire that signed it. The session token in it is worth nothing after that.
    pub const fn credentials_expire_at(&self) -> Option<SystemTime> {
        self.credentials_expire_at
    }

    /// The id of the access key that signed it; `None` for an anonymous client.
    pub fn authenticated_as(&self) -> Option<&str> {
        self.signed.as_ref().map(SignedConnect::access_key_id)
    }

    /// What was signed, for comparing with what another client signs: the canonical request, with the session token
    /// hidden, the string to sign and the signature.
    pub fn explain(&self) -> String {
        match &self.signed {
            Some(signed) => signed.explain(),
            None => "anonymous: the certificate carries no IAM signature\n".to_owned(),
        }
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("credentials_expire_at", &self.credentials_expire_at)
            .field("authenticated_as", &self.authenticated_as())
            .field("der", &"[redacted]")
            .finish()
    }
}

/// Why no certificate could be made. No variant holds any of the credentials or of the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// EFS would refuse the signature.
    #[error("the AWS credentials expired at {}; get new ones from their provider", utc(*expired_at))]
    CredentialsExpired {
        /// When they did.
        expired_at: SystemTime,
    },
    /// The credentials are not what AWS issues.
    #[error(
        "the {part} is empty or has characters that AWS does not issue; look for a space or a line break at its end"
    )]
    MalformedCredentials {
        /// Access key id, secret access key or session token.
        part: &'static str,
    },
    /// The time cannot be written as a UTCTime, as the protocol has it.
    #[error("expected a time between 1970-01-01T00:15:00Z and 2049-12-31T20:59:59Z, found {}; set the clock of this host", utc(*now))]
    ClockOutOfRange {
        /// The time that was given.
        now: SystemTime,
    },
    /// The cryptographic library could not sign.
    #[error("signing the certificate failed")]
    Sign {
        /// The library's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate could not be written as DER.
    #[error("encoding the certificate failed")]
    Encode {
        /// The encoder's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<der::Error> for CertificateError {
    fn from(source: der::Error) -> Self {
        Self::Encode { source: source.into() }
    }
}

const BEFORE_NOW: Duration = Duration::from_secs(15 * 60);
pub(crate) const AFTER_NOW: Duration = Duration::from_secs(3 * 60 * 60);

/// The second that `time` falls in, if a UTCTime can tell it.
fn utc_second(time: Option<SystemTime>, now: SystemTime) -> Result<DateTime, CertificateError> {
    time.and_then(|time| DateTime::from_system_time(time).ok())
        .filter(|time| time.year() <= der::asn1::UtcTime::MAX_YEAR)
        .ok_or(CertificateError::ClockOutOfRange { now })
}

fn utc(time: SystemTime) -> String {
    DateTime::from_system_time(time)
        .map_or_else(|_| "a time before 1970 or after 9999".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn key() -> ClientKey {
        ClientKey::from_pkcs8_pem(include_bytes!("../tests/keys/rsa-2048.pem")).unwrap()
    }

    fn request() -> CertificateRequest {
        let common_name = CommonName::from_host_name("host.example");
        CertificateRequest::new("fs-0123456789abcdef0".parse().unwrap(), "us-east-1".parse().unwrap(), common_name)
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    const NOW: u64 = 1_709_618_828; // 2024-03-05T06:07:08Z

    #[track_caller]
    fn refusal(credentials: Option<&Credentials>, now: SystemTime) -> String {
        request().issue(&key(), credentials, now).unwrap_err().to_string()
    }

    #[test]
    fn it_is_valid_from_15_minutes_before_until_3_hours_after_to_the_second() {
        let now = at(NOW) + Duration::from_millis(999);
        let certificate = request().issue(&key(), None, now).unwrap();
        assert_eq!(certificate.not_before(), at(NOW - 15 * 60));
        assert_eq!(certificate.not_after(), at(NOW + 3 * 60 * 60));
    }

    #[test]
    fn it_says_who_signed_and_until_when_the_credentials_last() {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, Some(at(NOW + 1)), "test");
        let certificate = request().issue(&key(), Some(&credentials), at(NOW)).unwrap();
        assert_eq!(certificate.authenticated_as(), Some("AKIDEXAMPLE"));
        assert_eq!(certificate.credentials_expire_at(), Some(at(NOW + 1)));

        let anonymous = request().issue(&key(), None, at(NOW)).unwrap();
        assert_eq!((anonymous.authenticated_as(), anonymous.credentials_expire_at()), (None, None));
        assert_eq!(anonymous.explain(), "anonymous: the certificate carries no IAM signature\n");
    }

    #[test]
    fn the_explanation_shows_all_that_is_signed_but_the_session_token() {
        let credentials = Credentials::new("ASIAEXAMPLE", "secret", Some("to/ken==".to_owned()), None, "test");
        let certificate = request().issue(&key(), Some(&credentials), at(NOW)).unwrap();
        let signed = request().sign(&key().public_key_hash(), &credentials, at(NOW)).unwrap();
        assert!(signed.canonical_request().contains("X-Amz-Security-Token=to%2Fken%3D%3D&"));
        let shown = signed.canonical_request().replace("to%2Fken%3D%3D", "[hidden]");
        assert_eq!(
            certificate.explain(),
            format!(
                "canonical request:\n{shown}\n\nstring to sign:\n{}\n\nsignature:\n{}\n",
                signed.string_to_sign(),
                signed.signature()
            )
        );
    }

    #[test]
    fn an_empty_session_token_is_none() {
        let [with, without] = [Some(String::new()), None]
            .map(|token| Credentials::new("AKIDEXAMPLE", "secret", token, None, "test"))
            .map(|credentials| request().issue(&key(), Some(&credentials), at(NOW)).unwrap());
        assert_eq!(with.der(), without.der());
    }

    #[test]
    fn credentials_that_have_expired_are_refused_and_those_about_to_are_not() {
        let expiring = |seconds| Credentials::new("AKIDEXAMPLE", "secret", None, Some(at(seconds)), "test");
        request().issue(&key(), Some(&expiring(NOW + 1)), at(NOW)).unwrap();
        assert_eq!(
            refusal(Some(&expiring(NOW)), at(NOW)),
            "the AWS credentials expired at 2024-03-05T06:07:08Z; get new ones from their provider"
        );
    }

    #[test]
    fn credentials_with_a_line_break_or_nothing_in_them_are_refused_by_part() {
        let credentials =
            |id: &str, secret: &str, token: &str| Credentials::new(id, secret, Some(token.to_owned()), None, "test");
        request().issue(&key(), Some(&credentials("a", "b", "c")), at(NOW)).unwrap();
        for (malformed, part) in [
            (credentials("", "b", "c"), "access key id"),
            (credentials("a\n", "b", "c"), "access key id"),
            (credentials("a", "", "c"), "secret access key"),
            (credentials("a", "b ", "c"), "secret access key"),
            (credentials("a", "b", "c\r\n"), "session token"),
            (credentials("a", "b", "\u{e9}"), "session token"),
        ] {
            let expected = format!(
                "the {part} is empty or has characters that AWS does not issue; \
                 look for a space or a line break at its end"
            );
            assert_eq!(refusal(Some(&malformed), at(NOW)), expected);
        }
    }

    #[test]
    fn a_time_that_utctime_cannot_tell_is_refused() {
        const FIRST: u64 = 15 * 60;
        const LAST: u64 = 2_524_597_199; // 2049-12-31T20:59:59Z
        for good in [FIRST, LAST] {
            request().issue(&key(), None, at(good)).unwrap();
        }
        for (bad, shown) in [(at(FIRST - 1), "1970-01-01T00:14:59Z"), (at(LAST + 1), "2049-12-31T21:00:00Z")] {
            let expected = format!(
                "expected a time between 1970-01-01T00:15:00Z and 2049-12-31T20:59:59Z, found {shown}; \
                 set the clock of this host"
            );
            assert_eq!(refusal(None, bad), expected);
        }
        let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
        assert!(refusal(None, before_1970).contains("found a time before 1970 or after 9999"));
    }
}
