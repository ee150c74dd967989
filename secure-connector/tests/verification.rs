//! Whom the verifier lets in and whom it does not, with the exact reason.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#![expect(clippy::unwrap_used, reason = "in what the tests share, too")]

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams, CertifiedIssuer,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use secure_connector::{
    ConfigError, ConnectError, PeerVerifier, PresentedNames, Roots, SpkiPin, Untrusted, Verified, VerifiedName,
    VerifiedPeer, Warning,
};
use secure_connector_testkit::{CaOptions, TestCertificate, TestPki, Usage, Validity};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// 2027-01-15.
fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn pki(name: &str) -> TestPki {
    TestPki::root(CaOptions::default().common_name(name)).unwrap()
}

fn roots(pki: &TestPki) -> Roots {
    Roots::from_der(pki.root_der()).unwrap()
}

fn names(names: &[&str]) -> Vec<VerifiedName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn check_host(roots: Roots) -> PeerVerifier {
    PeerVerifier::check_host(roots, names(&["localhost"])).unwrap()
}

fn pin(certificate: &TestCertificate) -> SpkiPin {
    SpkiPin::of_certificate(certificate.leaf_der()).unwrap()
}

#[track_caller]
fn accepted(
    peer: &PeerVerifier,
    chain: &[impl AsRef<[u8]>],
    verified: &Verified,
    warnings: &[Warning],
) -> VerifiedPeer {
    let judged = peer.judge(chain, at()).unwrap();
    assert_eq!((judged.verified(), judged.warnings()), (verified, warnings));
    judged
}

#[track_caller]
fn untrusted(peer: &PeerVerifier, chain: &[impl AsRef<[u8]>], wanted: Untrusted) {
    match peer.judge(chain, at()) {
        Err(ConnectError::Untrusted { reason, .. }) => assert_eq!(reason, wanted),
        other => panic!("{other:?}"),
    }
}

fn localhost() -> Verified {
    Verified::DnsName("localhost".into())
}

fn invalid(what: &str) -> Untrusted {
    Untrusted::Invalid { what: what.into() }
}

#[test]
fn any_of_several_names_will_do_and_the_report_says_which() {
    let pki = pki("Root");
    let leaf = pki.leaf().dns("*.efs.example").ip([10, 0, 0, 9]).issue().unwrap();
    let peer = |wanted| PeerVerifier::check_host(roots(&pki), names(wanted)).unwrap();
    let dns = Verified::DnsName("fs-1.efs.example".into());
    accepted(&peer(&["nope.example", "fs-1.efs.example"]), leaf.chain_der(), &dns, &[]);
    let ip = Verified::IpAddress([10, 0, 0, 9].into());
    accepted(&peer(&["nope.example", "10.0.0.9"]), leaf.chain_der(), &ip, &[]);

    let error = peer(&["a.fs-1.efs.example", "10.0.0.8"]).judge(leaf.chain_der(), at()).unwrap_err();
    let ConnectError::Identity { expected, presented } = &error else { panic!("{error:?}") };
    assert_eq!(expected, &["a.fs-1.efs.example", "10.0.0.8"]);
    assert_eq!((&presented.dns, &presented.ip), (&vec!["*.efs.example".into()], &vec!["10.0.0.9".into()]));
    assert!(error.explain().contains("A wildcard covers exactly one label"), "{}", error.explain());
}

#[test]
fn a_name_added_later_will_do_beside_the_first_and_takes_no_check_off() {
    let pki = pki("root");
    let node = pki.leaf().dns("node-1.example").issue().unwrap();
    let (localhost_only, chain) = (check_host(roots(&pki)), node.chain_der());
    let mut presented = PresentedNames::default();
    presented.dns.push("node-1.example".into());
    match localhost_only.judge(chain, at()).unwrap_err() {
        ConnectError::Identity { presented: found, .. } => assert_eq!(*found, presented),
        other => panic!("{other:?}"),
    }
    let either = localhost_only.clone().or_host("node-1.example".parse().unwrap());
    accepted(&either, chain, &Verified::DnsName("node-1.example".into()), &[]);
    accepted(&either, pki.leaf().dns("localhost").issue().unwrap().chain_der(), &localhost(), &[]);
    assert!(
        matches!(localhost_only.judge(chain, at()), Err(ConnectError::Identity { .. })),
        "the first stays as it was"
    );
    let pinned = PeerVerifier::pinned([pin(&pki.leaf().dns("other").issue().unwrap())]).unwrap();
    let error = pinned.or_host("node-1.example".parse().unwrap()).judge(chain, at()).unwrap_err();
    assert!(matches!(error, ConnectError::Untrusted { reason: Untrusted::PinMismatch { .. }, .. }), "{error:?}");
}

#[test]
fn an_address_matches_an_address_entry_only() {
    let pki = pki("Root");
    let as_text = pki.leaf().dns("10.0.0.9").common_name("10.0.0.9").issue().unwrap();
    let peer = PeerVerifier::check_host(roots(&pki), names(&["10.0.0.9"])).unwrap();
    let Err(ConnectError::Identity { presented, .. }) = peer.judge(as_text.chain_der(), at()) else { panic!() };
    let mut wanted = PresentedNames::default();
    wanted.dns.push("10.0.0.9".into());
    wanted.common_name.push("10.0.0.9".into());
    assert_eq!(*presented, wanted);
}

#[test]
fn a_common_name_counts_for_nothing_and_is_shown() {
    let pki = pki("Root");
    let leaf = pki.leaf().common_name("localhost").issue().unwrap();
    let error = check_host(roots(&pki)).judge(leaf.chain_der(), at()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer's certificate is not for localhost; it is for CN=localhost (not a host name)"
    );
}

#[test]
fn both_ends_of_the_validity_period_belong_to_it() {
    let pki = pki("Root");
    let chain = |from, to| {
        let leaf = pki.leaf().dns("localhost").common_name("leaf").validity(Validity::between(from, to));
        leaf.issue().unwrap().chain_der().to_vec()
    };
    let (peer, second) = (check_host(roots(&pki)), Duration::from_secs(1));
    accepted(&peer, &chain(at(), at()), &localhost(), &[]);
    // Certificates count whole seconds.
    peer.judge(&chain(at(), at()), at() + second / 2).unwrap();
    let subject = || "CN=leaf".to_owned();
    let (not_after, not_before) = (at() - second, at() + second);
    untrusted(&peer, &chain(at() - DAY, not_after), Untrusted::Expired { subject: subject(), not_after, now: at() });
    untrusted(
        &peer,
        &chain(not_before, at() + DAY),
        Untrusted::NotYetValid { subject: subject(), not_before, now: at() },
    );
}

#[test]
fn an_expired_intermediate_is_named() {
    let root = pki("Root");
    let validity = Validity::expired(at());
    let options = CaOptions::default().common_name("Middle").validity(validity);
    let leaf = root.intermediate(options).unwrap().leaf().dns("localhost").issue().unwrap();
    let reason = Untrusted::Expired { subject: "CN=Middle".into(), not_after: validity.not_after, now: at() };
    untrusted(&check_host(roots(&root)), leaf.chain_der(), reason);
}

#[test]
fn an_anchor_counts_only_inside_its_validity_period() {
    let validity = Validity::between(at() - 2 * DAY, at() - DAY);
    let root = TestPki::root(CaOptions::default().common_name("Old root").validity(validity)).unwrap();
    let leaf = root.leaf().dns("localhost").issue().unwrap();
    let peer = check_host(roots(&root));
    peer.judge(leaf.chain_der(), at() - DAY).unwrap();

    let expired = |now| Untrusted::AnchorExpired { subject: "CN=Old root".into(), not_after: validity.not_after, now };
    untrusted(&peer, leaf.chain_der(), expired(at()));
    // A server that sends its root along changes nothing.
    untrusted(&peer, &[leaf.leaf_der(), root.root_der()], expired(at()));
    let early = peer.judge(leaf.chain_der(), at() - 3 * DAY).unwrap_err();
    let ConnectError::Untrusted { reason, .. } = early else { panic!("{early:?}") };
    let not_before = validity.not_before;
    assert_eq!(reason, Untrusted::NotYetValid { subject: "CN=Old root".into(), not_before, now: at() - 3 * DAY });
}

#[test]
fn an_expired_anchor_does_not_hide_another_path_and_is_reported() {
    let ca = |name: &str, until: SystemTime| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = ((at() - 30 * DAY).into(), until.into());
        params
    };
    let old = CertifiedIssuer::self_signed(ca("Old", at() - DAY), KeyPair::generate().unwrap()).unwrap();
    let new = CertifiedIssuer::self_signed(ca("New", at() + DAY), KeyPair::generate().unwrap()).unwrap();
    // The same key and name as the new root, signed by the old one: it leads to either.
    let cross = ca("New", at() + DAY).signed_by(new.key(), &old).unwrap();
    let mut leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (leaf.not_before, leaf.not_after) = ((at() - DAY).into(), (at() + DAY).into());
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &new).unwrap();
    let chain = [leaf.der().as_ref(), cross.der().as_ref()];

    let old = || Roots::from_der(old.der()).unwrap();
    let both = check_host(old().and(Roots::from_der(new.der()).unwrap()));
    let warning = Warning::AnchorsDropped(vec!["CN=Old: expired at 2027-01-14T08:00:00Z".into()]);
    accepted(&both, &chain, &localhost(), &[warning]);
    let reason = Untrusted::AnchorExpired { subject: "CN=Old".into(), not_after: at() - DAY, now: at() };
    untrusted(&check_host(old()), &chain, reason);
}

#[test]
fn an_intermediate_as_anchor_is_accepted_and_reported() {
    let middle = pki("Root").intermediate(CaOptions::default().common_name("Middle")).unwrap();
    let leaf = middle.leaf().dns("localhost").issue().unwrap();
    let peer = check_host(Roots::from_der(middle.authority_der()).unwrap());
    accepted(&peer, leaf.chain_der(), &localhost(), &[Warning::AnchorNotSelfSigned("CN=Middle".into())]);
}

#[test]
fn an_unknown_ca_is_named_with_what_was_tried() {
    let middle = pki("Theirs").intermediate(CaOptions::default().common_name("Middle")).unwrap();
    let leaf = middle.leaf().dns("localhost").issue().unwrap();
    let peer = check_host(roots(&pki("Ours")).and(Roots::amazon()));
    untrusted(&peer, leaf.chain_der(), Untrusted::UnknownCa { issuer: "CN=Theirs".into(), anchors: 5 });
    untrusted(&peer, &[leaf.leaf_der()], Untrusted::UnknownCa { issuer: "CN=Middle".into(), anchors: 5 });
    untrusted(&peer, &[] as &[&[u8]], Untrusted::NoCertificate);
}

#[test]
fn a_ca_made_anew_under_its_old_name_is_told_from_an_unknown_one() {
    let leaf = pki("Same name").leaf().dns("localhost").issue().unwrap();
    let what = "a signature is not that of the CA with the issuer's name (a CA made anew under its old name?)";
    untrusted(&check_host(roots(&pki("Same name"))), leaf.chain_der(), invalid(what));
}

#[test]
fn a_ca_certificate_and_a_client_certificate_are_no_server_certificates() {
    let pki = pki("Root");
    let (peer, leaf) = (check_host(roots(&pki)), || pki.leaf().dns("localhost").common_name("leaf"));
    let authority = leaf().authority().issue().unwrap();
    untrusted(&peer, authority.chain_der(), Untrusted::CaUsedAsServer { subject: "CN=leaf".into() });
    let client = leaf().usage(Usage::Client).issue().unwrap();
    untrusted(&peer, client.chain_der(), Untrusted::WrongPurpose { presented: "clientAuth".into() });
    for usage in [Usage::Server, Usage::ServerAndClient, Usage::Unrestricted] {
        accepted(&peer, leaf().usage(usage).issue().unwrap().chain_der(), &localhost(), &[]);
    }
}

#[test]
fn a_server_certificate_has_no_powers_of_a_ca() {
    let pki = pki("Root");
    let permitted_localhost = [&[0x30, 0x0f, 0xa0, 0x0d, 0x30, 0x0b, 0x82, 0x09][..], b"localhost"].concat();
    let constrained = pki.leaf().dns("localhost").extension(&[2, 5, 29, 30], permitted_localhost).issue().unwrap();
    let what = "it has name constraints, which only a CA may have (RFC 5280 section 4.2.1.10)";
    untrusted(&check_host(roots(&pki)), constrained.chain_der(), invalid(what));

    let authority = Authority::new();
    let chain = |usages: Vec<KeyUsagePurpose>| [authority.issue(7, usages)];
    accepted(&authority.peer(), &chain(vec![KeyUsagePurpose::DigitalSignature]), &localhost(), &[]);
    let what = "its key usage has keyCertSign, which only a CA may have (RFC 5280 section 4.2.1.3)";
    let both = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    untrusted(&authority.peer(), &chain(both), invalid(what));
}

#[test]
fn a_weak_key_anywhere_is_the_reason() {
    let read =
        |name| std::fs::read(format!("{}/tests/vectors/weak-keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let der = |name| CertificateDer::from_pem_slice(&read(name)).unwrap();
    let sound = || check_host(Roots::from_pem(&read("root")).unwrap());
    let weak = |subject: &str| Untrusted::WeakKey { key: "RSA-1024".into(), subject: subject.into() };
    let chain = [der("leaf-of-weak-intermediate"), der("weak-intermediate")];
    untrusted(&sound(), &chain, weak("CN=Weak intermediate"));

    // A weak anchor is left out; the reason is not lost.
    let with_weak_root = check_host(Roots::from_pem(&[read("root"), read("weak-root")].concat()).unwrap());
    let leaf = [der("leaf-of-weak-root")];
    untrusted(&with_weak_root, &leaf, weak("CN=Weak root"));
    untrusted(&sound(), &leaf, Untrusted::UnknownCa { issuer: "CN=Weak root".into(), anchors: 1 });
}

#[test]
fn a_pinned_key_is_the_whole_identity() {
    let validity = Validity::expired(at());
    let own = pki("Root").leaf().authority().self_signed().unwrap();
    let other = pki("Root").leaf().validity(validity).self_signed().unwrap();
    let peer = PeerVerifier::pinned([pin(&own), pin(&other)]).unwrap();
    accepted(&peer, own.chain_der(), &Verified::PublicKey(pin(&own).to_string()), &[]);
    let Validity { not_before, not_after, .. } = validity;
    let warning = Warning::PinnedCertificateNotCurrent { not_before, not_after };
    accepted(&peer, other.chain_der(), &Verified::PublicKey(pin(&other).to_string()), &[warning]);

    let mismatch = Untrusted::PinMismatch { presented: pin(&other).to_string() };
    untrusted(&PeerVerifier::pinned([pin(&own)]).unwrap(), other.chain_der(), mismatch);
}

#[test]
fn a_pin_in_addition_replaces_nothing() {
    let pki = pki("Root");
    let leaf = |name: &str| pki.leaf().dns(name).issue().unwrap();
    let (good, elsewhere, stranger) = (leaf("localhost"), leaf("elsewhere"), leaf("localhost"));
    let peer = check_host(roots(&pki)).also_pinned([pin(&good)]).unwrap().also_pinned([pin(&elsewhere)]).unwrap();
    accepted(&peer, good.chain_der(), &localhost(), &[]);
    assert!(matches!(peer.judge(elsewhere.chain_der(), at()), Err(ConnectError::Identity { .. })));
    untrusted(&peer, stranger.chain_der(), Untrusted::PinMismatch { presented: pin(&stranger).to_string() });
    // The verifier that it was made from is another one.
    accepted(&check_host(roots(&pki)), stranger.chain_der(), &localhost(), &[]);
}

#[test]
fn what_is_not_checked_is_reported() {
    let (ours, theirs) = (pki("Ours"), pki("Theirs"));
    let any_name = PeerVerifier::danger_accept_any_name(roots(&ours));
    let leaf = ours.leaf().dns("elsewhere").issue().unwrap();
    accepted(&any_name, leaf.chain_der(), &Verified::ChainOnly, &[Warning::NameNotChecked]);
    let foreign = theirs.leaf().dns("elsewhere").issue().unwrap();
    untrusted(&any_name, foreign.chain_der(), Untrusted::UnknownCa { issuer: "CN=Theirs".into(), anchors: 1 });

    let anybody = PeerVerifier::danger_accept_any_certificate();
    accepted(&anybody, foreign.chain_der(), &Verified::Nothing, &[Warning::VerificationDisabled]);
}

#[test]
fn a_verifier_that_would_check_nothing_or_nobody_is_not_made() {
    let roots = || roots(&pki("Root"));
    let pin = || [pin(&pki("Root").leaf().self_signed().unwrap())];
    assert!(matches!(PeerVerifier::check_host(roots(), []), Err(ConfigError::NoNames)));
    assert!(matches!(PeerVerifier::pinned([]), Err(ConfigError::NoPins)));
    assert!(matches!(check_host(roots()).also_pinned([]), Err(ConfigError::NoPins)));
    assert!(matches!(check_host(roots()).with_crls([]), Err(ConfigError::NoCrls)));
    assert!(matches!(check_host(roots()).with_crls([b"no list".to_vec()]), Err(ConfigError::NoCrls)));
    for no_chain in [PeerVerifier::pinned(pin()).unwrap(), PeerVerifier::danger_accept_any_certificate()] {
        let pinned = no_chain.clone().also_pinned(pin());
        assert!(matches!(pinned, Err(ConfigError::NoChain { option: "also_pinned" })));
        let with_crls = no_chain.with_crls([Authority::new().crl(&[], at() + DAY)]);
        assert!(matches!(with_crls, Err(ConfigError::NoChain { option: "with_crls" })));
    }
    let bad = check_host(roots()).with_crls([Authority::new().crl(&[], at() + DAY), vec![0x30, 0x82]]);
    assert!(matches!(bad, Err(ConfigError::Crl { index: 1, .. })), "{bad:?}");
}

#[test]
fn a_revocation_list_revokes_and_is_needed() {
    let authority = Authority::new();
    let leaf = |serial| [authority.issue(serial, vec![KeyUsagePurpose::DigitalSignature])];
    let peer = |crl: Vec<u8>| authority.peer().with_crls([crl]).unwrap();
    let list = authority.list(&[7], at() + DAY);
    for crl in [list.der().to_vec(), list.pem().unwrap().into_bytes()] {
        accepted(&peer(crl.clone()), &leaf(8), &localhost(), &[]);
        match peer(crl).judge(&leaf(7), at()) {
            Err(ConnectError::Revoked { serial, at: revoked, via }) => {
                assert_eq!((serial.as_str(), revoked), ("07", Some(at() - 2 * DAY)));
                assert_eq!(via, "the revocation list of CN=List issuer");
            }
            other => panic!("{other:?}"),
        }
    }
    let unknown = |peer: PeerVerifier| match peer.judge(&leaf(8), at()) {
        Err(ConnectError::RevocationUnknown { why, retryable: false }) => why,
        other => panic!("{other:?}"),
    };
    let outdated = unknown(peer(authority.crl(&[7], at())));
    assert_eq!(outdated, "the list of its issuer was to be renewed by 2027-01-15T08:00:00Z");
    let others = Authority::named("Somebody else").crl(&[], at() + DAY);
    assert_eq!(unknown(peer(others)), "no list of its issuer was given");
    let forged = Authority::new().crl(&[], at() + DAY);
    assert_eq!(unknown(peer(forged)), "the list of its issuer was not signed by that issuer");
}

#[test]
fn an_intermediate_can_be_revoked_too() {
    let root = Authority::named("Root");
    let middle = root.below("Middle", 5);
    let chain = [middle.issue(8, vec![]), middle.0.der().to_vec()];
    let peer = |revoked: &[u64]| {
        let lists = [middle.crl(&[], at() + DAY), root.crl(revoked, at() + DAY)];
        root.peer().with_crls(lists).unwrap()
    };
    accepted(&peer(&[8]), &chain, &localhost(), &[]);
    match peer(&[5]).judge(&chain, at()) {
        Err(ConnectError::Revoked { serial, via, .. }) => {
            assert_eq!((serial.as_str(), via.as_str()), ("05", "the revocation list of CN=Root"));
        }
        other => panic!("{other:?}"),
    }
}

/// A CA that also signs revocation lists.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        Self::named("List issuer")
    }

    fn named(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(Self::params(name), KeyPair::generate().unwrap()).unwrap())
    }

    fn below(&self, name: &str, serial: u64) -> Self {
        let mut params = Self::params(name);
        params.serial_number = Some(SerialNumber::from(serial));
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn peer(&self) -> PeerVerifier {
        check_host(Roots::from_der(self.0.der()).unwrap())
    }

    fn issue(&self, serial: u64, usages: Vec<KeyUsagePurpose>) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.key_usages = usages;
        params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().to_vec()
    }

    fn crl(&self, revoked: &[u64], next_update: SystemTime) -> Vec<u8> {
        self.list(revoked, next_update).der().to_vec()
    }

    fn list(&self, revoked: &[u64], next_update: SystemTime) -> CertificateRevocationList {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: (at() - 2 * DAY).into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: (at() - DAY).into(),
            next_update: next_update.into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap()
    }
}

/// A chain of two, made once.
fn sound_chain() -> &'static (Roots, Vec<Vec<u8>>) {
    static CHAIN: std::sync::OnceLock<(Roots, Vec<Vec<u8>>)> = std::sync::OnceLock::new();
    CHAIN.get_or_init(|| {
        let root = pki("Root");
        let leaf = root.intermediate(CaOptions::default()).unwrap().leaf().dns("localhost").issue().unwrap();
        (roots(&root), leaf.chain_der().to_vec())
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused(chain in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4)) {
        let peer = check_host(sound_chain().0.clone());
        let refused = matches!(peer.judge(&chain, at()), Err(ConnectError::Untrusted { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn no_altered_leaf_is_accepted(position in any::<prop::sample::Index>(), flip in 1..=255_u8, cut in 0..3_usize) {
        let (roots, chain) = sound_chain();
        let mut chain = chain.clone();
        let position = position.index(chain[0].len());
        chain[0][position] ^= flip;
        let length = chain[0].len() - cut;
        chain[0].truncate(length);
        prop_assert!(check_host(roots.clone()).judge(&chain, at()).is_err());
        // The other verifiers do not look at signatures; they must not panic.
        let _ = PeerVerifier::pinned([SpkiPin::of_certificate(&chain[1]).unwrap()]).unwrap().judge(&chain, at());
        let _ = SpkiPin::of_certificate(&chain[0]);
    }

    #[test]
    fn an_altered_intermediate_is_refused_or_not_needed(position in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (roots, chain) = sound_chain();
        let mut chain = chain.clone();
        let position = position.index(chain[1].len());
        chain[1][position] ^= flip;
        prop_assert!(check_host(roots.clone()).judge(&chain, at()).is_err());
    }
}
