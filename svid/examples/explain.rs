//! `explain CHAIN.pem TRUST-DOMAIN ROOTS.pem`: every rule on X.509-SVIDs with its outcome. Exit code 1: not trusted.

use std::{env, error::Error, fs, process::ExitCode, time::SystemTime};

use svid_tls::{Bundle, BundleSet, X509Verifier};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [chain, trust_domain, roots] = arguments.as_slice() else {
        return Err("usage: explain CHAIN.pem TRUST-DOMAIN ROOTS.pem".into());
    };
    let chain: Vec<Vec<u8>> =
        pem::parse_many(fs::read(chain)?)?.into_iter().map(|block| block.into_contents()).collect();
    let bundle = Bundle::from_x509_pem(trust_domain.parse()?, &fs::read(roots)?)?;
    let bundles: BundleSet = [bundle].into_iter().collect();
    let report = X509Verifier::new().explain(&chain, &bundles, SystemTime::now());
    print!("{report}");
    Ok(if report.is_trusted() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
