//! Two workloads of one trust domain, each with an identity that an agent issues and rotates.
//!
//! A fake SPIFFE agent on the loopback serves the Workload API, as that of SPIRE does.

use std::{error::Error, sync::Arc};

use secure_connector::{Dial, SecureAcceptor, SecureConnector, SecureStream, error_chain};
use secure_connector_testkit::spiffe::SpiffeAgent;
use svid_tls::{ExpectedPeer, Mode, MtlsAcceptor, MtlsConnector, Peer, SpiffeId, SvidSource, WorkloadApi, X509Source};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::heading;

const FRONT: &str = "spiffe://example.org/front";
const BACK: &str = "spiffe://example.org/back";

pub(crate) async fn tour() -> Result<(), Box<dyn Error>> {
    let agent = SpiffeAgent::builder("example.org")
        .workload_with_hint("/front", "front")
        .workload_with_hint("/back", "back")
        .start()
        .await?;
    let api = WorkloadApi::builder(agent.address().parse()?).build();
    let front = api.x509().hint("front").start_or_fail().await?;
    let back = api.x509().hint("back").start_or_fail().await?;
    let front_only = ExpectedPeer::exactly(FRONT.parse()?);

    heading("mTLS 1. STRICT: both ends know each other");
    let server = Server::start(MtlsAcceptor::new(back.svids(), front_only.clone())).await?;
    let mut stream = client(&server, front.svids(), BACK)?.connect().await?;
    println!("{}", stream.report());
    println!("the server saw: {}", answer(&mut stream).await?);
    let certificate = stream.report().identity.as_ref().map(ToString::to_string);

    heading("mTLS 2. A client that expects somebody else, and one without TLS");
    match client(&server, front.svids(), "spiffe://example.org/billing")?.connect().await {
        Err(error) => println!("{}", error_chain(&error)),
        Ok(_) => return Err("a refusal was expected".into()),
    }
    let mut plain = TcpStream::connect(server.addr).await?;
    plain.write_all(b"PING\r\n").await?;
    let end = plain.read(&mut [0]).await;
    println!("in plaintext: {end:?}, {:?}", server.acceptor.counts());

    heading("mTLS 3. PERMISSIVE: plaintext is served on the same port, and counted");
    let permissive = MtlsAcceptor::new(back.svids(), front_only).mode(Mode::Permissive);
    let permissive = Server::start(permissive).await?;
    println!("the server saw: {}", answer(&mut TcpStream::connect(permissive.addr).await?).await?);
    let mut stream = client(&permissive, front.svids(), BACK)?.connect().await?;
    println!("the server saw: {}\n{:?}", answer(&mut stream).await?, permissive.acceptor.counts());

    heading("mTLS 4. The agent rotates: the next connection has the next certificate");
    rotate(&agent, &front).await?;
    let mut stream = client(&server, front.svids(), BACK)?.connect().await?;
    println!("the server saw: {}", answer(&mut stream).await?);
    let renewed = stream.report().identity.as_ref().map(ToString::to_string);
    println!("before: {}\nnow:    {}", certificate.as_deref().unwrap_or("-"), renewed.as_deref().unwrap_or("-"));
    if certificate == renewed { Err("another certificate was expected".into()) } else { Ok(()) }
}

async fn rotate(agent: &SpiffeAgent, source: &X509Source) -> Result<(), Box<dyn Error>> {
    let mut contexts = source.contexts();
    contexts.mark_unchanged();
    agent.rotate()?;
    Ok(contexts.changed().await?)
}

fn client(server: &Server, svids: SvidSource, expected: &str) -> Result<MtlsConnector, Box<dyn Error>> {
    let expected: SpiffeId = expected.parse()?;
    Ok(MtlsConnector::builder(Dial::addresses([server.addr]), svids, ExpectedPeer::exactly(expected)).build()?)
}

/// Says something, and reads whom the server takes us for.
async fn answer(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> Result<String, Box<dyn Error>> {
    stream.write_all(b"who am I?").await?;
    stream.flush().await?;
    let mut answer = vec![0; 256];
    let length = stream.read(&mut answer).await?;
    answer.truncate(length);
    Ok(String::from_utf8(answer)?)
}

/// Tells clients who they are.
struct Server {
    addr: std::net::SocketAddr,
    acceptor: Arc<MtlsAcceptor>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(acceptor: MtlsAcceptor) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (addr, acceptor) = (listener.local_addr()?, Arc::new(acceptor));
        let task = tokio::spawn(serve(listener, Arc::clone(&acceptor)));
        Ok(Self { addr, acceptor, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: Arc<MtlsAcceptor>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
        let who = match stream.peer() {
            Peer::Mtls(peer) => peer.id.to_string(),
            _ => "somebody in plaintext".to_owned(),
        };
        // The client says something first.
        if stream.read(&mut [0; 16]).await.is_ok_and(|length| length > 0) {
            let _ = stream.write_all(who.as_bytes()).await;
            let _ = stream.flush().await;
        }
    }
}
