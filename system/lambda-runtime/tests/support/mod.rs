//! A runtime API whose every answer is scripted, over bytes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use nexus_ports::Authority;
use nexus_ports_testing::TestPlatform;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub const PORT: u16 = 9001;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer(String),
    /// Reads the request and closes the connection.
    Close,
    /// Reads the request and never answers.
    Hang,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Method and path.
    pub line: String,
    pub error_type: Option<String>,
    pub body: String,
    pub connection: usize,
}

/// Answers `next` and posts from a script each. Without a script, `next` waits for ever and posts are accepted.
#[derive(Clone, Default)]
pub struct RuntimeApiServer {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    next: VecDeque<Reply>,
    posts: VecDeque<Reply>,
    seen: Vec<Seen>,
}

pub fn authority() -> Authority {
    Authority { host: "127.0.0.1".to_owned(), port: PORT, tls: false }
}

pub fn status(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Answer(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()))
}

pub fn accepted() -> Reply {
    status("202 Accepted", "", "{\"status\":\"OK\"}")
}

impl RuntimeApiServer {
    pub fn start(test: &TestPlatform, next: Vec<Reply>, posts: Vec<Reply>) -> Self {
        let server = Self::default();
        {
            let mut state = server.state.lock().unwrap();
            state.next = next.into();
            state.posts = posts.into();
        }
        let mut connections = test.network.bind(PORT);
        let (accepting, beside) = (server.clone(), test.clone());
        test.spawn_beside(async move {
            let mut count = 0;
            while let Some(connection) = connections.recv().await {
                let serving = accepting.clone();
                beside.spawn_beside(async move { serving.serve(connection, count).await });
                count += 1;
            }
        });
        server
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// Method and path of each request.
    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    async fn serve(&self, mut connection: DuplexStream, count: usize) {
        while let Some(seen) = read_request(&mut connection, count).await {
            let reply = {
                let mut state = self.state.lock().unwrap();
                let is_next = seen.line.starts_with("GET ");
                state.seen.push(seen);
                if is_next {
                    state.next.pop_front().unwrap_or(Reply::Hang)
                } else {
                    state.posts.pop_front().unwrap_or_else(accepted)
                }
            };
            match reply {
                Reply::Answer(text) => connection.write_all(text.as_bytes()).await.unwrap(),
                Reply::Close => return,
                Reply::Hang => std::future::pending().await,
            }
        }
    }
}

async fn read_request(connection: &mut DuplexStream, count: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    connection.read_exact(&mut body).await.ok()?;
    Some(Seen {
        line: head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned(),
        error_type: header("lambda-runtime-function-error-type"),
        body: String::from_utf8(body).unwrap(),
        connection: count,
    })
}
