//! The websocket of an EC2 Instance Connect Endpoint, played on loopback in front of an SSH server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use footplate::model::FailureKind;
use footplate::ssh::Route;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::door::Door;
use super::raw::{Hostile, Message as Ssh};
use super::{close, data, exits, says, soon};

type Socket = WebSocketStream<TcpStream>;

/// Takes websockets, one after the other.
async fn endpoint<F: Future<Output = ()> + Send>(serve: impl Fn(Socket) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            if let Ok(socket) = accept_async(line).await {
                serve(socket).await;
            }
        }
    });
    address
}

fn route(address: SocketAddr) -> Route {
    Route::Tunnel { url: format!("ws://{address}/openTunnel?instanceConnectEndpointId=eice-1&X-Amz-Signature=secret") }
}

/// Carries bytes between the websocket and the server, and notes the largest message.
async fn carry(mut socket: Socket, to: SocketAddr, largest: Arc<AtomicUsize>) {
    let mut line = TcpStream::connect(to).await.unwrap();
    let mut bytes = vec![0; 65_000];
    loop {
        tokio::select! {
            read = line.read(&mut bytes) => match read {
                Ok(count) if count > 0 => {
                    // In two halves, so that packets and messages do not coincide.
                    let (a, b) = bytes[..count].split_at(count / 2);
                    socket.send(Message::binary(a.to_vec())).await.unwrap();
                    socket.send(Message::binary(b.to_vec())).await.unwrap();
                }
                _ => break,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    largest.fetch_max(bytes.len(), Ordering::Relaxed);
                    line.write_all(&bytes).await.unwrap();
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_goes_through_a_tunnel() {
    let server = Hostile::after_exec(|transport, channel| {
        let mut received = 0;
        while received < 300_000 {
            let message = transport.receive()?;
            if message[0] == 94 {
                received += message.len() - 9;
            }
        }
        transport.send(&data(channel, &format!("{received}")))?;
        transport.send(&exits(channel, 0))?;
        transport.send(&close(channel))?;
        transport.stay_alive()
    });
    let largest = Arc::new(AtomicUsize::new(0));
    let (noted, to) = (Arc::clone(&largest), server.address);
    let address = endpoint(move |socket| carry(socket, to, Arc::clone(&noted))).await;
    let folder = tempfile::tempdir().unwrap();
    let connection = soon("open", Door::by(route(address)).open(folder.path())).await.unwrap();
    let ran = soon("run", connection.run("wc -c", Some(vec![b'x'; 300_000]))).await.unwrap();
    assert_eq!((ran.out.as_slice(), ran.status), (b"300000".as_slice(), Some(0)));
    assert!((1..=65_000).contains(&largest.load(Ordering::Relaxed)), "{largest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_endpoint_says_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = endpoint(|mut socket| async move {
        let _ = socket.send(Message::text("Unable to connect to target \x1b[2J")).await;
        while socket.next().await.is_some_and(|message| message.is_ok()) {}
    })
    .await;
    let failure = soon("text", Door::by(route(said)).open(folder.path())).await.map(drop).unwrap_err();
    says("text", &failure, FailureKind::Network, "Unable to connect to target");
    let closed = endpoint(|mut socket| async move {
        let frame = CloseFrame { code: 1011.into(), reason: "instance unreachable".into() };
        let _ = socket.close(Some(frame)).await;
    })
    .await;
    let failure = soon("close", Door::by(route(closed)).open(folder.path())).await.map(drop).unwrap_err();
    says("close", &failure, FailureKind::Network, "instance unreachable (code 1011)");
    let normal = endpoint(|mut socket| async move {
        let _ = socket.close(None).await;
    })
    .await;
    let failure = soon("normal", Door::by(route(normal)).open(folder.path())).await.map(drop).unwrap_err();
    says("normal", &failure, FailureKind::Network, "before it greeted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_ends_in_the_middle_says_why() {
    let server = Hostile::after_exec(|transport, channel| {
        transport.send(&data(channel, "begun"))?;
        transport.send(&Ssh::new(2).text("the endpoint cuts here"))?;
        transport.stay_alive()
    });
    let to = server.address;
    let address = endpoint(move |mut socket| async move {
        let mut line = TcpStream::connect(to).await.unwrap();
        let mut bytes = vec![0; 65_000];
        // It ends when nothing has come for a while after the command began.
        loop {
            let quiet = tokio::time::sleep(std::time::Duration::from_millis(300));
            tokio::select! {
                read = line.read(&mut bytes) => {
                    let count = read.unwrap();
                    socket.send(Message::binary(bytes[..count].to_vec())).await.unwrap();
                }
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => line.write_all(&bytes).await.unwrap(),
                    _ => return,
                },
                () = quiet => break,
            }
        }
        let frame = CloseFrame { code: 4000.into(), reason: "MaxTunnelDuration reached".into() };
        let _ = socket.close(Some(frame)).await;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let connection = soon("open", Door::by(route(address)).open(folder.path())).await.unwrap();
    let failure = soon("run", connection.run("command", None)).await.unwrap_err();
    says("cut", &failure, FailureKind::Network, "MaxTunnelDuration reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_is_told_without_the_signature() {
    let folder = tempfile::tempdir().unwrap();
    let refuses = |status: &'static str| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut line, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(line.read_u8().await.unwrap());
            }
            let body = "not authorized to OpenTunnel";
            let _ = line.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
            let _ = line.shutdown().await;
            let _ = line.read_to_end(&mut request).await;
        });
        address
    };
    for (status, kind) in [
        ("403 Forbidden", FailureKind::Denied),
        ("404 Not Found", FailureKind::NotFound),
        ("429 Slow", FailureKind::Throttled),
        ("502 Bad", FailureKind::Service),
    ] {
        let address = refuses(status).await;
        let failure = soon(status, Door::by(route(address)).open(folder.path())).await.map(drop).unwrap_err();
        says(status, &failure, kind, &status[..3]);
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }
    assert!(!format!("{:?}", route(SocketAddr::from(([127, 0, 0, 1], 1)))).contains("secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_safe_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |url: String| soon("open", Door::by(Route::Tunnel { url }).open(folder.path())).await.map(drop).unwrap_err();
    for url in ["ws://example.com/openTunnel", "https://127.0.0.1/openTunnel", "no url at all", "wss:///"] {
        says(url, &open(url.to_owned()).await, FailureKind::Invalid, "cannot be used");
    }
    // TLS towards something that is none: a failure, no panic for want of a cryptographic provider.
    let garbage = Hostile::start(|mut line| std::io::Write::write_all(&mut line, b"SSH-2.0-no TLS\r\n"));
    says("no TLS", &open(format!("wss://{}/openTunnel", garbage.address)).await, FailureKind::Network, "did not open");
    let silent = Hostile::start(|mut line| std::io::Read::read_to_end(&mut line, &mut Vec::new()).map(drop));
    says(
        "silent",
        &open(format!("ws://{}/openTunnel", silent.address)).await,
        FailureKind::Timeout,
        "no answer from the endpoint 127.0.0.1",
    );
}
