//! The main jobs of the crates on embedded stand-ins: no root, no network, no AWS account.

mod efs;
mod luks;
mod mtls;
mod redis;

use std::{error::Error, time::Instant};

use secure_connector_testkit::TestPki;

const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let pki = TestPki::new()?;
    efs::tour(&pki).await?;
    redis::tour(&pki).await?;
    mtls::tour().await?;
    luks::tour()?;
    println!("\nDone in {:.1} s.", started.elapsed().as_secs_f64());
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}
