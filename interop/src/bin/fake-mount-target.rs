//! A fake EFS mount target before a real NFS server, as a program of its own: for the virtual machine's jobs.

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use secure_connector_testkit::TestPki;
use secure_connector_testkit::efs::{Admission, AdmissionRules, FakeMountTarget, KnownKey, Verdict};

const USAGE: &str = "Usage: fake-mount-target FILE_SYSTEM LISTEN_ADDRESS NFS_SERVER_ADDRESS CA_FILE

Admits IAM clients that sign with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for AWS_REGION. Writes the certificate to
trust to CA_FILE, and to standard output what came of each connection.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fake-mount-target: {error}\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [file_system, listen, backend, ca_file] = args.as_slice() else {
        return Err(format!("4 arguments expected, {} found", args.len()).into());
    };
    let variable = |name| env::var(name).map_err(|error| format!("{name}: {error}"));
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
    let rules = AdmissionRules::new(file_system, variable("AWS_REGION")?)
        .admission(Admission::IamOnly)
        .key(KnownKey::new(id, secret, "arn:aws:iam::123456789012:user/vm"));
    let pki = TestPki::new()?;
    fs::write(ca_file, pki.root_pem())?;
    let target = FakeMountTarget::builder(rules).listen(listen.parse()?).backend(backend.parse()?).start(&pki).await?;
    loop {
        match target.next_event().await.map(|event| event.verdict) {
            Ok(Verdict::Admitted(principal)) => println!("admitted: {principal:?}"),
            Ok(verdict) => println!("{verdict:?}"),
            Err(error) => println!("no handshake: {error}"),
        }
    }
}
