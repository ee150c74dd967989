//! Which certificate is accepted for which name, and which chains are.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use secure_connector::{
    ConfigError, ConnectError, NameError, PeerVerifier, Roots, SpkiPin, Untrusted, VerifiedName, VerifiedPeer, Warning,
};
use serde::Deserialize;

use crate::{Outcome, der};

/// 2026-11-22, when the table was measured. The certificates are valid from 2026-01-01 to 2046-01-01, those that are meant
/// to have expired until 2026-02-01.
const AT: Duration = Duration::from_secs(1_795_316_153);

#[derive(Deserialize)]
pub(crate) struct Table {
    root: String,
    certs: Vec<Certificate>,
    rows: Vec<Row>,
    chains: Vec<Chain>,
    options: Vec<Options>,
}

#[derive(Deserialize)]
struct Certificate {
    id: String,
    cert: String,
}

#[derive(Deserialize)]
struct Row {
    cert: String,
    #[serde(rename = "ref")]
    reference: String,
    ours: bool,
    ours_kind: String,
    why: String,
}

#[derive(Deserialize)]
struct Chain {
    id: String,
    chain: Vec<String>,
    cafile: Vec<String>,
    name: String,
    ours: bool,
}

/// `ok` is stunnel's verdict on lines of its configuration.
#[derive(Deserialize)]
struct Options {
    cert: String,
    options: String,
    ok: bool,
}

impl Table {
    pub(crate) fn cases(&self) -> usize {
        self.rows.len() + self.chains.len() + self.options.len()
    }
}

pub(crate) fn run(table: &Table) -> Outcome {
    let roots = Roots::from_pem(table.root.as_bytes()).unwrap();
    let certs: HashMap<&str, Vec<_>> = table.certs.iter().map(|c| (c.id.as_str(), vec![der(&c.cert)])).collect();
    let mut outcome = Outcome::default();
    for row in &table.rows {
        let name = || format!("row {} for {}", row.cert, row.reference);
        outcome.check(name, check_row(row, &roots, &certs[row.cert.as_str()]));
    }
    for chain in &table.chains {
        outcome.check(|| format!("chain {}", chain.id), check_chain(chain));
    }
    for options in &table.options {
        let name = || format!("options {} with {:?}", options.cert, options.options);
        match check_options(options, table, &roots, &certs[options.cert.as_str()]) {
            Err(Differs::OnPurpose) => drop(outcome.known.insert(name())),
            Err(Differs::Wrongly(why)) => outcome.check(name, Err(why)),
            Ok(()) => outcome.check(name, Ok(())),
        }
    }
    outcome
}

fn check_row(row: &Row, roots: &Roots, chain: &[impl AsRef<[u8]>]) -> Result<(), String> {
    let name = row.reference.parse::<VerifiedName>();
    let verdict = name.map(|name| PeerVerifier::check_host(roots.clone(), [name]).unwrap().judge(chain, at()));
    match (row.ours, row.ours_kind.as_str(), verdict) {
        (true, "accept", Ok(Ok(_))) => Ok(()),
        (false, "identity", Ok(Err(error @ ConnectError::Identity { .. }))) => shows_common_name(row, &error),
        (false, "config", Err(error)) => names_the_spelling(row, &error),
        (_, wanted, found) => Err(format!("wanted {wanted}, found {found:?}")),
    }
}

fn shows_common_name(row: &Row, error: &ConnectError) -> Result<(), String> {
    let shown = error.to_string().contains("CN=") && error.explain().contains("subjectAltName");
    if shown || !row.why.contains("shows the CN") { Ok(()) } else { Err(format!("{error} does not show the CN")) }
}

fn names_the_spelling(row: &Row, error: &NameError) -> Result<(), String> {
    let promised = row.why.split(['(', ')', ' ']).find(|word| word.starts_with("xn--"));
    match promised {
        Some(a_label) if !error.to_string().contains(a_label) => Err(format!("{error} does not name {a_label}")),
        _ => Ok(()),
    }
}

fn check_chain(row: &Chain) -> Result<(), String> {
    let roots = Roots::from_pem(row.cafile.concat().as_bytes()).unwrap();
    let chain: Vec<_> = row.chain.iter().map(|pem| der(pem)).collect();
    let verdict = PeerVerifier::check_host(roots, [row.name.parse().unwrap()]).unwrap().judge(&chain, at());
    if verdict.is_ok() != row.ours {
        return Err(format!("wanted ours = {}, found {verdict:?}", row.ours));
    }
    let said = match row.id.as_str() {
        "int-as-anchor" => warns(&verdict, |warning| matches!(warning, Warning::AnchorNotSelfSigned(_))),
        "cross-expired-root" => warns(&verdict, |warning| matches!(warning, Warning::AnchorsDropped(_))),
        "root-expired" => refuses(&verdict, |reason| matches!(reason, Untrusted::AnchorExpired { .. })),
        "int-expired" => refuses(&verdict, |reason| matches!(reason, Untrusted::Expired { .. })),
        "unknown-ca" => refuses(&verdict, |reason| matches!(reason, Untrusted::UnknownCa { anchors: 1, .. })),
        "rsa1024" => refuses(&verdict, |reason| matches!(reason, Untrusted::WeakKey { key, .. } if key == "RSA-1024")),
        "eku-client" => refuses(
            &verdict,
            |reason| matches!(reason, Untrusted::WrongPurpose { presented, .. } if presented == "clientAuth"),
        ),
        "selfsigned-ca-leaf-trusted" => {
            let pin = SpkiPin::of_certificate(&chain[0]).unwrap();
            let pinned = PeerVerifier::pinned([pin]).unwrap().judge(&chain, at());
            refuses(&verdict, |reason| matches!(reason, Untrusted::CaUsedAsServer { .. })) && pinned.is_ok()
        }
        _ => true,
    };
    if said { Ok(()) } else { Err(format!("the reason or warning is missing: {verdict:?}")) }
}

fn warns(verdict: &Result<VerifiedPeer, ConnectError>, wanted: impl Fn(&Warning) -> bool) -> bool {
    verdict.as_ref().is_ok_and(|peer| peer.warnings().iter().any(wanted))
}

fn refuses(verdict: &Result<VerifiedPeer, ConnectError>, wanted: impl Fn(&Untrusted) -> bool) -> bool {
    matches!(verdict, Err(ConnectError::Untrusted { reason, .. }) if wanted(reason))
}

enum Differs {
    OnPurpose,
    Wrongly(String),
}

/// stunnel takes any match of any line, and no line for "any name". Ours is the first, and the second only when it is said.
///
/// stunnel is laxer where the table says so (common names, partial wildcards), in `checkEmail`, which we do not have, and
/// in an address in `checkHost`, which it compares with dNSName entries, we with iPAddress entries.
fn check_options(row: &Options, table: &Table, roots: &Roots, chain: &[impl AsRef<[u8]>]) -> Result<(), Differs> {
    let lines: Vec<_> = row.options.lines().filter_map(|line| line.split_once('=')).collect();
    if lines.is_empty() {
        let said = PeerVerifier::danger_accept_any_name(roots.clone()).judge(chain, at());
        let unsaid = PeerVerifier::check_host(roots.clone(), []);
        let as_wanted = row.ok
            && matches!(unsaid, Err(ConfigError::NoNames))
            && warns(&said, |warning| *warning == Warning::NameNotChecked);
        return if as_wanted { Ok(()) } else { Err(Differs::Wrongly(format!("unsaid {unsaid:?}, said {said:?}"))) };
    }
    let ours = lines.iter().filter(|(option, _)| ["checkHost", "checkIP"].contains(option));
    let names: Vec<VerifiedName> = ours.clone().filter_map(|(_, name)| name.parse().ok()).collect();
    let verdict = PeerVerifier::check_host(roots.clone(), names).map(|peer| peer.judge(chain, at()));
    let accepted = matches!(verdict, Ok(Ok(_)));
    let address_as_host = |(option, name): &(&str, &str)| *option == "checkHost" && name.parse::<IpAddr>().is_ok();
    let laxer = |(option, name): &(&str, &str)| {
        let row = table.rows.iter().find(|r| r.cert == row.cert && r.reference == *name);
        *option == "checkEmail" || row.is_some_and(|row| !row.ours)
    };
    match (accepted, row.ok) {
        (ours, stunnels) if ours == stunnels => Ok(()),
        (_, _) if lines.iter().any(address_as_host) => Err(Differs::OnPurpose),
        (false, true) if lines.iter().any(laxer) => Err(Differs::OnPurpose),
        (_, stunnels) => Err(Differs::Wrongly(format!("stunnel {stunnels}, ours {verdict:?}"))),
    }
}

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + AT
}
