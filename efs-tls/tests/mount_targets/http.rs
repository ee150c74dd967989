//! An HTTP server whose answers the test makes up.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Status, a header, body.
pub(crate) type Answer = (u16, &'static str, String);

/// Serves until the test ends. `answer` gets the head of each request: its line and its headers.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Http {
    pub(crate) async fn serve(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let http = Self { url, heads: Arc::default() };
        let heads = http.heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let head = one_exchange(stream, &answer).await;
                heads.lock().unwrap().push(head);
            }
        });
        http
    }

    /// The request lines so far, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().map(|head| head.lines().next().unwrap().to_owned()).collect()
    }
}

async fn one_exchange(mut stream: TcpStream, answer: &(impl Fn(&str) -> Answer + Sync)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let (status, header, body) = answer(&head);
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status} x\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    head
}
