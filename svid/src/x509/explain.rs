//! Every rule with its outcome, for people who ask why.

use std::{fmt, time::SystemTime};

use super::{X509SvidError, X509Verifier, issuer, leaf, leaf::Leaf, path, presented, roots_of};
use crate::{
    BundleSet, PeerSvid, SpiffeId,
    certificate::Certificate,
    rule::{self, Rule},
};

/// What a rule says about one certificate that does not break it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Pass,
    NotApplicable(&'static str),
    /// A "should" that is not followed.
    Advice(String),
}

/// Every rule on X.509-SVIDs with its outcome on one presented chain. `Display` has a line for each.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// The ID that is claimed, if it can be read.
    pub claimed: Option<SpiffeId>,
    /// By number of the rule, each rule once.
    pub findings: Vec<Finding>,
    /// What [`X509Verifier::verify`] says; the reason of a refusal is among the findings.
    pub verified: Option<PeerSvid>,
}

/// A rule with its outcome.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// What came of it, on all certificates that it is about.
    pub outcome: Outcome,
}

/// What came of a rule.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It holds, and a "should" that goes with it is not followed.
    Advice(String),
    /// It is broken.
    Fail(X509SvidError),
    /// There is nothing that it is about, or it was not reached.
    NotApplicable(&'static str),
}

const RULES: &[Rule] = &[
    rule::X00,
    rule::X01,
    rule::X02,
    rule::X04,
    rule::X05,
    rule::X06,
    rule::X07,
    rule::X08,
    rule::X09,
    rule::X10,
    rule::X11,
    rule::X12,
    rule::X13,
    rule::X14,
    rule::X15,
    rule::X16,
    rule::X18,
    rule::X19,
    rule::X20,
    rule::X21,
    rule::X22,
    rule::X23,
    rule::X24,
    rule::X25,
    rule::X26,
    rule::X28,
    rule::X29,
    rule::X30,
];

/// Rules that a path fulfils by being found, apart from those on each of its certificates.
const OF_A_PATH: &[Rule] = &[rule::X12, rule::X21, rule::X22, rule::X23, rule::X30];

impl X509Verifier {
    /// Judges like [`verify`](Self::verify), and goes on after the first broken rule.
    pub fn explain(&self, chain: &[impl AsRef<[u8]>], bundles: &BundleSet, at: SystemTime) -> Report {
        let mut report = Report::new();
        match presented(chain) {
            Err(error) => report.fail(error),
            Ok(chain) => match Leaf::read(&chain) {
                Err(error) => report.fail(error),
                Ok(leaf) => {
                    report.pass(&[rule::X25, rule::X26, rule::X28]);
                    self.explain_leaf(&leaf, &mut report);
                    self.explain_path(&chain, &leaf, bundles, at, &mut report);
                }
            },
        }
        // By the verification itself, lest a report ever says more than it.
        report.verified = self.verify(chain, bundles, at).ok();
        report
    }

    fn explain_leaf(&self, leaf: &Leaf<'_>, report: &mut Report) {
        for (rule, check) in leaf::RULES {
            report.take(*rule, check(leaf));
        }
        report.take(rule::X00, leaf.has_usable_key(&self.algorithms).map(|()| Judgement::Pass));
    }

    fn explain_path(
        &self,
        chain: &[rustls::pki_types::CertificateDer<'_>],
        leaf: &Leaf<'_>,
        bundles: &BundleSet,
        at: SystemTime,
        report: &mut Report,
    ) {
        if let Some(error) = path::not_current(&leaf.certificate, path::whole_seconds(at)) {
            report.fail(error);
        }
        let Ok(id) = leaf.id() else { return };
        report.claimed = Some(id.clone());
        if let Err(error) = roots_of(&id, bundles) {
            return report.fail(error);
        }
        report.pass(&[rule::X23]);
        let path = match self.path(chain, leaf, &id, bundles, at) {
            Ok(path) => path,
            Err(error) => return report.fail(error),
        };
        report.pass(OF_A_PATH);
        if self.crls.is_some() {
            report.pass(&[rule::X29]);
        }
        let domain = id.trust_domain();
        for place in path.intermediates {
            let read = chain.get(place).and_then(|der| Certificate::read(der, place).ok());
            for (rule, check) in issuer::RULES {
                if let Some(certificate) = &read {
                    report.take(*rule, check(certificate, &domain));
                }
            }
        }
    }
}

impl Report {
    /// Whether the chain is trusted.
    pub fn is_trusted(&self) -> bool {
        self.verified.is_some()
    }

    /// The rules that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &X509SvidError> {
        self.findings.iter().filter_map(|finding| match &finding.outcome {
            Outcome::Fail(error) => Some(error),
            _ => None,
        })
    }

    fn new() -> Self {
        let finding = |rule: &Rule| Finding { rule: *rule, outcome: Outcome::NotApplicable("not reached") };
        Self { claimed: None, findings: RULES.iter().map(finding).collect(), verified: None }
    }

    fn take(&mut self, rule: Rule, judged: Result<Judgement, X509SvidError>) {
        self.merge(
            rule,
            match judged {
                Ok(Judgement::Pass) => Outcome::Pass,
                Ok(Judgement::NotApplicable(why)) => Outcome::NotApplicable(why),
                Ok(Judgement::Advice(what)) => Outcome::Advice(what),
                Err(error) => return self.fail(error),
            },
        );
    }

    fn pass(&mut self, rules: &[Rule]) {
        for rule in rules {
            self.merge(*rule, Outcome::Pass);
        }
    }

    fn fail(&mut self, error: X509SvidError) {
        self.merge(error.rule(), Outcome::Fail(error));
    }

    /// The worst of all certificates is what counts; of equals the first.
    fn merge(&mut self, rule: Rule, outcome: Outcome) {
        let finding = self.findings.iter_mut().find(|finding| finding.rule == rule);
        if let Some(finding) = finding.filter(|finding| outcome.weight() > finding.outcome.weight()) {
            finding.outcome = outcome;
        }
    }
}

impl Outcome {
    fn weight(&self) -> u8 {
        match self {
            Self::NotApplicable("not reached") => 0,
            Self::NotApplicable(_) => 1,
            Self::Pass => 2,
            Self::Advice(_) => 3,
            Self::Fail(_) => 4,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.verified, &self.claimed) {
            (Some(peer), _) => writeln!(f, "trusted: {}", peer.id())?,
            (None, Some(claimed)) => writeln!(f, "not trusted; claims to be {claimed}")?,
            (None, None) => writeln!(f, "not trusted; has no SPIFFE ID")?,
        }
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { number, demand, section } = self.rule;
        match &self.outcome {
            Outcome::Pass => write!(f, "pass    {number} {demand} ({section})"),
            Outcome::Advice(what) => write!(f, "advice  {number} {demand} ({section}): {what}"),
            Outcome::Fail(error) => write!(f, "FAIL    {number} {}", secure_connector::error_chain(error)),
            Outcome::NotApplicable(why) => write!(f, "–       {number} {demand} ({section}): {why}"),
        }
    }
}
