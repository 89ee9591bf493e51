//! The SSH client against servers that misbehave, each in its own way: whatever they do, there is a failure with a reason
//! within its deadline, never a hang and never a panic. And against what they should do. OpenSSH itself is in
//! `tests/peers/test_sshd.py`.

#[path = "ssh/copies.rs"]
mod copies;
#[path = "ssh/crypto.rs"]
mod crypto;
#[path = "ssh/door.rs"]
mod door;
#[path = "ssh/driver.rs"]
mod driver;
#[path = "ssh/files.rs"]
mod files;
#[path = "ssh/raw.rs"]
mod raw;
#[path = "ssh/together.rs"]
mod together;
#[path = "ssh/tunnel.rs"]
mod tunnel;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use footplate::model::{Failure, FailureKind};
use footplate::ssh::{Bounds, Connection, Exit, Heard, Machine, Pins, Ran};
use russh::keys::HashAlg;

use door::{Door, login, machine};
use raw::{Hostile, Message, Offer, Transport, host_key};

/// No step of a test may take longer than this, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// How the attempt to connect fails.
async fn refusal(name: &str, address: SocketAddr) -> Failure {
    let folder = tempfile::tempdir().unwrap();
    match soon(name, Door::to(address).open(folder.path())).await {
        Err(failure) => failure,
        Ok(_) => panic!("{name}: there is a connection"),
    }
}

async fn connected(server: &Hostile) -> Connection {
    let folder = tempfile::tempdir().unwrap();
    soon("open", Door::to(server.address).open(folder.path())).await.unwrap()
}

async fn ran(server: &Hostile) -> Result<Ran, Failure> {
    soon("run", connected(server).await.run("command", None)).await
}

fn says(name: &str, failure: &Failure, kind: FailureKind, words: &str) {
    assert_eq!(failure.kind, kind, "{name}: {failure}");
    assert!(failure.to_string().contains(words), "{name}: {failure}");
    assert!(!failure.to_string().contains('\x1b'), "{name}: {failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_get_as_far_as_their_keys() {
    use FailureKind::{Network, Refused, Service, Timeout};
    let offer = |at: usize, list: &'static str| {
        let mut offer = Offer::default();
        offer.0[at] = list;
        if at == 2 {
            offer.0[3] = list;
        }
        if at == 6 {
            offer.0[7] = list;
        }
        Hostile::start(move |line| Transport::open(line, &offer)?.listen())
    };
    let sends_raw = |bytes: Vec<u8>| {
        Hostile::start(move |line| {
            let mut transport = Transport::greet(line.try_clone()?, &Offer::default())?;
            (&line).write_all(&bytes)?;
            transport.listen()
        })
    };
    let answers_kex = |reply: fn(&Transport) -> Message| {
        Hostile::start(move |line| {
            let mut transport = Transport::greet(line, &Offer::default())?;
            transport.send(&transport.kexinit())?;
            transport.await_message(30)?;
            transport.send(&reply(&transport))?;
            transport.listen()
        })
    };
    let short_point: fn(&Transport) -> Message =
        |_| Message::new(31).bytes(&host_key().public_key().to_bytes().unwrap()).bytes(&[1; 16]).bytes(&[2; 83]);
    let no_point: fn(&Transport) -> Message =
        |_| Message::new(31).bytes(&host_key().public_key().to_bytes().unwrap()).bytes(&[]).bytes(&[2; 83]);
    let zero_point: fn(&Transport) -> Message =
        |_| Message::new(31).bytes(&host_key().public_key().to_bytes().unwrap()).bytes(&[0; 32]).bytes(&[2; 83]);
    let unsigned: fn(&Transport) -> Message = |_| {
        let signature = Message::default().text("ssh-ed25519").bytes(&[3; 64]).0;
        Message::new(31).bytes(&host_key().public_key().to_bytes().unwrap()).bytes(&[9; 32]).bytes(&signature)
    };
    let scripts: Vec<(&str, Hostile, FailureKind, &str)> = vec![
        ("says nothing", Hostile::start(|mut line| line.read_to_end(&mut Vec::new()).map(drop)), Timeout, "has not greeted"),
        (
            "says a byte now and then",
            Hostile::start(|mut line| {
                loop {
                    line.write_all(b"S")?;
                    std::thread::park_timeout(Duration::from_millis(100));
                }
            }),
            Timeout,
            "has not greeted",
        ),
        (
            "never comes to the point",
            Hostile::start(|mut line| {
                loop {
                    line.write_all(b"welcome, \x1b[2J welcome\r\n")?;
                }
            }),
            Service,
            "talks on",
        ),
        (
            "one line without end",
            Hostile::start(|mut line| {
                loop {
                    line.write_all(&[b'\x1b'; 4096])?;
                }
            }),
            Service,
            "no SSH server",
        ),
        (
            "a web server",
            Hostile::start(|mut line| {
                line.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").and_then(|()| line.read_to_end(&mut vec![]).map(drop))
            }),
            Service,
            "HTTP/1.1 400",
        ),
        (
            "the old protocol",
            Hostile::start(|mut line| line.write_all(b"SSH-1.5-old\n").and_then(|()| line.read_to_end(&mut vec![]).map(drop))),
            Service,
            "SSH-1.5-old",
        ),
        ("hangs up", Hostile::start(|_| Ok(())), Network, "ended the connection before it greeted"),
        (
            "garbage for keys",
            sends_raw(
                (60..4096_u32)
                    .flat_map(|n| if n == 60 { n.to_be_bytes() } else { n.wrapping_mul(2_654_435_761).to_be_bytes() })
                    .collect(),
            ),
            Service,
            "broke the SSH protocol",
        ),
        ("a packet of four gigabytes", sends_raw(vec![0xff; 64]), Service, "broke the SSH protocol"),
        ("a packet of nothing", sends_raw(vec![0; 64]), Network, "was closed"),
        (
            "lists that end outside of their packet",
            sends_raw(raw::packet(&[[20].as_slice(), &[7; 16], &[0x7f, 0xff, 0xff, 0xff, b'a']].concat(), 4)),
            Service,
            "broke the SSH protocol",
        ),
        ("half a packet, then silence", sends_raw(vec![0, 0, 1, 0, 4]), Timeout, "not "),
        ("a point of 16 bytes (CVE-2026-73429)", answers_kex(short_point), Service, "broke the SSH protocol"),
        ("a point of no bytes", answers_kex(no_point), Service, "broke the SSH protocol"),
        ("a point that gives the secret away", answers_kex(zero_point), Service, ""),
        ("a signature of somebody else", answers_kex(unsigned), Refused, "could not prove"),
        (
            "keys offered, and silence",
            Hostile::start(|line| {
                let mut transport = Transport::greet(line, &Offer::default())?;
                transport.send(&transport.kexinit())?;
                transport.listen()
            }),
            Timeout,
            "not ",
        ),
        ("no encryption", offer(2, "none"), Service, "cipher that is safe"),
        (
            "ciphers without authentication (GHSA-p8qx-h547-fjw9)",
            offer(2, "aes256-ctr,aes128-cbc"),
            Service,
            "cipher that is safe",
        ),
        ("compression forced (RUSTSEC-2026-0493)", offer(6, "zlib,zlib@openssh.com"), Service, "compression"),
        ("a host key by SHA-1", offer(1, "ssh-rsa"), Service, "kind of host key"),
        (
            "a key exchange of the last century (CVE-2023-28113)",
            offer(0, "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1"),
            Service,
            "key exchange that is safe",
        ),
        ("Terrapin (CVE-2023-48795)", offer(0, "curve25519-sha256"), Refused, "Terrapin"),
    ];
    for (name, server, kind, words) in scripts {
        let failure = refusal(name, server.address).await;
        says(name, &failure, kind, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_get_as_far_as_the_login() {
    use FailureKind::{Denied, Network, Service, Timeout};
    let ext_info = |count: u32| {
        let mut message = Message::new(7).u32(count);
        for n in 0..count.min(100) {
            message = message.text(&format!("extension-{n}")).text("value");
        }
        message
    };
    let answers = |answer: Message| {
        Hostile::after_kex(move |transport| {
            transport.accept_service()?;
            transport.await_message(50)?;
            transport.send(&answer)?;
            transport.listen()
        })
    };
    let (one, many) = (ext_info(1), ext_info(u32::MAX));
    let scripts: Vec<(&str, Hostile, FailureKind, &str)> = vec![
        (
            "extensions again and again (CVE-2026-116794)",
            Hostile::after_kex(move |transport| {
                loop {
                    transport.send(&one)?;
                }
            }),
            Service,
            "broke the SSH protocol",
        ),
        (
            "four thousand million extensions (CVE-2026-48110)",
            Hostile::after_kex(move |transport| transport.send(&many).and_then(|()| transport.listen())),
            Service,
            "broke the SSH protocol",
        ),
        ("does not answer", Hostile::after_kex(Transport::listen), Timeout, "not "),
        (
            "does not answer the key",
            Hostile::after_kex(|transport| transport.accept_service().and_then(|()| transport.listen())),
            Timeout,
            "not ",
        ),
        (
            "banners without end",
            Hostile::after_kex(|transport| {
                transport.accept_service()?;
                transport.await_message(50)?;
                loop {
                    transport.send(&Message::new(53).text(&"\x1b]0;x\x07".repeat(1000)).text(""))?;
                }
            }),
            Service,
            "broke the SSH protocol",
        ),
        (
            "a question with four thousand million prompts (CVE-2026-48107)",
            answers(Message::new(60).text("").text("").text("").u32(u32::MAX)),
            Timeout,
            "not ",
        ),
        ("an answer that ends too soon", answers(Message::new(51).u32(u32::MAX)), Service, "broke the SSH protocol"),
        (
            "a channel before the login",
            answers(Message::new(90).text("session").u32(0).u32(1).u32(1)),
            Service,
            "broke the SSH protocol",
        ),
        (
            "good-bye",
            answers(Message::new(1).u32(2).text("Too many \x1b[31mauthentication failures").text("")),
            Network,
            "Too many",
        ),
        ("a good-bye that ends too soon", answers(Message::new(1).u32(2).u32(u32::MAX)), Service, "broke the SSH protocol"),
        ("lets nobody in", answers(Message::new(51).text("").u8(0)), Denied, "does not let the user 'ubuntu' in"),
        ("wants more", answers(Message::new(51).text("password").u8(1)), Denied, "a second proof"),
        (
            "a broken seal",
            Hostile::after_kex(|transport| transport.accept_service().and_then(|()| transport.spoil())),
            Service,
            "broke the SSH protocol",
        ),
    ];
    for (name, server, kind, words) in scripts {
        let failure = refusal(name, server.address).await;
        says(name, &failure, kind, words);
    }
}

fn exits(channel: u32, status: u32) -> Message {
    Message::new(98).u32(channel).text("exit-status").u8(0).u32(status)
}

fn data(channel: u32, text: &str) -> Message {
    Message::new(94).u32(channel).text(text)
}

fn eof(channel: u32) -> Message {
    Message::new(96).u32(channel)
}

fn close(channel: u32) -> Message {
    Message::new(97).u32(channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_break_off_while_a_command_runs() {
    use FailureKind::{Network, Service, Timeout};
    let scripts: Vec<(&str, Hostile, FailureKind, &str)> = vec![
        (
            "never opens the channel",
            Hostile::after_login(Transport::stay_alive),
            Timeout,
            "has not answered a request for a channel",
        ),
        (
            "refuses the channel",
            Hostile::after_login(|transport| {
                transport.await_message(90)?;
                transport.send(&Message::new(92).u32(0).u32(1).text("no \x1b[2J").text(""))?;
                transport.send(&Message::new(92).u32(1).u32(1).text("no \x1b[2J").text(""))?;
                transport.send(&Message::new(92).u32(2).u32(1).text("no \x1b[2J").text(""))?;
                transport.stay_alive()
            }),
            Service,
            "refused another session",
        ),
        (
            "never starts the command",
            Hostile::after_login(|transport| transport.take_channel(9, 9).and_then(|_| transport.stay_alive())),
            Timeout,
            "has not answered to run a command",
        ),
        (
            "refuses the command",
            Hostile::after_login(|transport| {
                let channel = transport.take_channel(9, 9)?;
                transport.await_message(98)?;
                transport.send(&Message::new(100).u32(channel))?;
                transport.stay_alive()
            }),
            Service,
            "refused to run a command",
        ),
        (
            "confirms a channel that nobody opened (GHSA-47hw-gvq5-r2gm)",
            Hostile::after_exec(|transport, _| {
                transport.send(&Message::new(91).u32(7777).u32(0).u32(1).u32(1)).and_then(|()| transport.stay_alive())
            }),
            Service,
            "broke the SSH protocol",
        ),
        ("falls silent", Hostile::after_exec(|transport, _| transport.listen()), Timeout, "has not answered for"),
        ("goes away", Hostile::after_exec(|_, _| Ok(())), Network, ""),
        (
            "says good-bye",
            Hostile::after_exec(|transport, _| {
                transport.send(&Message::new(1).u32(11).text("shutting down").text("")).and_then(|()| transport.listen())
            }),
            Network,
            "shutting down",
        ),
        (
            "begins new keys and falls silent",
            Hostile::after_exec(|transport, _| transport.send(&transport.kexinit()).and_then(|()| transport.listen())),
            Timeout,
            "has not answered for",
        ),
        (
            "begins new keys and talks on",
            Hostile::after_exec(|transport, channel| {
                transport.send(&transport.kexinit())?;
                loop {
                    transport.send(&data(channel, "x"))?;
                }
            }),
            Service,
            "broke the SSH protocol",
        ),
        (
            "renews its keys without end",
            Hostile::after_exec(|transport, _| {
                loop {
                    transport.exchange(None)?;
                }
            }),
            Service,
            "renews its keys",
        ),
        (
            "says more than there was room for",
            Hostile::after_exec(|transport, channel| {
                let much = "x".repeat(32 * 1024);
                loop {
                    transport.send(&data(channel, &much))?;
                }
            }),
            Service,
            "says more there",
        ),
        ("a broken seal", Hostile::after_exec(|transport, _| transport.spoil()), Service, "broke the SSH protocol"),
        (
            "a message that ends too soon",
            Hostile::after_exec(|transport, channel| {
                transport.send(&Message::new(94).u32(channel).u32(u32::MAX)).and_then(|()| transport.stay_alive())
            }),
            Service,
            "broke the SSH protocol",
        ),
    ];
    for (name, server, kind, words) in scripts {
        let begun = Instant::now();
        let failure = soon(name, async { connected(&server).await.run("command", None).await }).await.expect_err(name);
        says(name, &failure, kind, words);
        assert!(begun.elapsed() < PATIENCE, "{name}");
    }
}

type Script = fn(&mut Transport, u32) -> std::io::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_s_end_is_told_as_it_was_said() {
    let failed = Exit { status: Some(3), signal: None };
    let scripts: Vec<(&str, Script, Exit)> = vec![
        (
            "all in order",
            |t, c| t.send(&exits(c, 3)).and_then(|()| t.send(&eof(c))).and_then(|()| t.send(&close(c))),
            failed.clone(),
        ),
        (
            "end of output first",
            |t, c| t.send(&eof(c)).and_then(|()| t.send(&exits(c, 3))).and_then(|()| t.send(&close(c))),
            failed.clone(),
        ),
        ("no status", |t, c| t.send(&eof(c)).and_then(|()| t.send(&close(c))), Exit::default()),
        (
            "two statuses",
            |t, c| t.send(&exits(c, 3)).and_then(|()| t.send(&exits(c, 0))).and_then(|()| t.send(&close(c))),
            failed.clone(),
        ),
        (
            "data after the end",
            |t, c| t.send(&exits(c, 3)).and_then(|()| t.send(&close(c))).and_then(|()| t.send(&data(c, "late"))),
            failed.clone(),
        ),
        ("it never closes", |t, c| t.send(&exits(c, 3)), failed.clone()),
        (
            "messages for channels that are not there (GHSA-47hw-gvq5-r2gm)",
            |t, c| {
                for number in [94, 96, 97, 99, 100] {
                    t.send(&Message(if number == 94 { data(7777, "x").0 } else { Message::new(number).u32(7777).0 }))?;
                }
                t.send(&exits(7777, 0))?;
                t.send(&Message::new(93).u32(7777).u32(1))?;
                t.send(&exits(c, 3)).and_then(|()| t.send(&close(c)))
            },
            failed.clone(),
        ),
        (
            "a window beyond all numbers (CVE-2025-54804)",
            |t, c| {
                for _ in 0..3 {
                    t.send(&Message::new(93).u32(c).u32(u32::MAX))?;
                }
                t.send(&exits(c, 3)).and_then(|()| t.send(&close(c)))
            },
            failed.clone(),
        ),
        (
            "requests and messages that nobody knows",
            |t, c| {
                t.send(&Message::new(98).u32(c).text("exec").u8(1).text("rm -rf ~"))?;
                t.send(&Message::new(80).text("tcpip-forward").u8(1).text("").u32(0))?;
                t.send(&Message::new(192).u32(1))?;
                t.send(&Message::new(2).text(&"ignored".repeat(1000)))?;
                t.send(&exits(c, 3)).and_then(|()| t.send(&close(c)))
            },
            failed.clone(),
        ),
    ];
    for (name, script, exit) in scripts {
        let server = Hostile::after_exec(move |transport, channel| {
            transport.send(&data(channel, "said"))?;
            transport.send(&Message::new(95).u32(channel).u32(1).text("aside"))?;
            script(transport, channel)?;
            transport.stay_alive()
        });
        let ran = ran(&server).await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(Exit { status: ran.status, signal: ran.signal }, exit, "{name}");
        assert_eq!((ran.out.as_slice(), ran.err.as_slice()), (b"said".as_slice(), b"aside".as_slice()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_told_and_made_harmless() {
    let server = Hostile::after_exec(|transport, channel| {
        let signal = Message::new(98).u32(channel).text("exit-signal").u8(0).text("\x1b[2JKILL").u8(0).text("").text("");
        transport.send(&signal)?;
        transport.send(&close(channel))?;
        transport.stay_alive()
    });
    let ran = ran(&server).await.unwrap();
    assert_eq!((ran.status, ran.signal.unwrap().as_str()), (None, "␛[2JKILL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_not_taken_does_not_hang() {
    let narrow = |window: u32, packet: u32| {
        Hostile::after_login(move |transport| {
            let channel = transport.take_channel(window, packet)?;
            transport.await_message(98)?;
            transport.send(&Message::new(99).u32(channel))?;
            transport.stay_alive()
        })
    };
    let bounds = Bounds { time: Duration::from_secs(1), ..Bounds::default() };
    let server = narrow(1 << 20, 0);
    let failure = soon("run", connected(&server).await.run_within("cat", Some(b"input".to_vec()), bounds)).await.unwrap_err();
    says("packets of no bytes (CVE-2026-116774)", &failure, FailureKind::Service, "broke the SSH protocol");
    let server = narrow(2, 32 * 1024);
    let failure = soon("run", connected(&server).await.run_within("cat", Some(b"input".to_vec()), bounds)).await.unwrap_err();
    says("a window that never opens", &failure, FailureKind::Timeout, "has not ended within 1 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_read_is_given_up() {
    let server = Hostile::after_login(|transport| {
        let channel = transport.take_channel(u32::MAX, 32 * 1024)?;
        transport.await_message(98)?;
        transport.send(&Message::new(99).u32(channel))?;
        std::thread::park_timeout(PATIENCE / 3);
        transport.listen()
    });
    let failure = soon("run", connected(&server).await.run("cat", Some(vec![0; 64 << 20]))).await.unwrap_err();
    says("does not read", &failure, FailureKind::Timeout, "has not answered for 1.6 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_server_opens_is_refused() {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let server = Hostile::after_exec(move |transport, channel| {
        let opening = |kind: &str| Message::new(90).text(kind).u32(5).u32(1 << 20).u32(32 * 1024);
        let opened = [
            opening("auth-agent@openssh.com"),
            opening("forwarded-tcpip").text("127.0.0.1").u32(22).text("127.0.0.1").u32(1),
            opening("forwarded-streamlocal@openssh.com").text("/run/x").text(""),
            opening("x11").text("127.0.0.1").u32(6000),
            opening("session"),
            opening("direct-tcpip").text("169.254.169.254").u32(80).text("127.0.0.1").u32(1),
            opening("direct-streamlocal@openssh.com").text("/run/x").text("").u32(0),
            opening("anything@else"),
        ];
        for message in &opened {
            transport.send(message)?;
            transport.await_message(92)?;
            counted.fetch_add(1, Ordering::Relaxed);
        }
        transport.send(&exits(channel, 0))?;
        transport.send(&close(channel))?;
        transport.stay_alive()
    });
    assert_eq!(ran(&server).await.unwrap().status, Some(0));
    assert_eq!(refused.load(Ordering::Relaxed), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_renewed_in_the_middle() {
    let server = Hostile::after_exec(|transport, channel| {
        for _ in 0..5 {
            transport.exchange(None)?;
            transport.send(&data(channel, "more "))?;
        }
        transport.send(&exits(channel, 0))?;
        transport.send(&close(channel))?;
        transport.stay_alive()
    });
    assert_eq!(ran(&server).await.unwrap().out, b"more more more more more ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banner_is_harmless_and_short() {
    let server = Hostile::after_kex(|transport| {
        transport.accept_service()?;
        transport.await_message(50)?;
        transport.send(&Message::new(53).text("Welcome\x1b[2J\x07\n").text(""))?;
        transport.send(&Message::new(53).text(&"x".repeat(20_000)).text(""))?;
        transport.send(&Message::new(52))?;
        transport.stay_alive()
    });
    let banner = connected(&server).await.banner();
    assert!(banner.as_str().starts_with("Welcome␛[2J␇\nxxx"), "{banner}");
    assert_eq!(banner.as_str().matches('x').count() + 13, 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_asked_for_typed_into_and_resized() {
    let server = Hostile::after_login(|transport| {
        let channel = transport.take_channel(1 << 20, 32 * 1024)?;
        let pty = transport.await_message(98)?;
        assert!(pty.windows(14).any(|part| part == b"xterm-256color"), "{pty:?}");
        assert!(pty.windows(8).any(|part| part == [0, 0, 0, 80, 0, 0, 0, 24]), "{pty:?}");
        transport.send(&Message::new(99).u32(channel))?;
        let shell = transport.await_message(98)?;
        assert!(shell.windows(5).any(|part| part == b"shell"), "{shell:?}");
        transport.send(&Message::new(99).u32(channel))?;
        let typed = transport.await_message(94)?;
        transport.send(&Message::new(94).u32(channel).bytes(&typed[9..]))?;
        let resized = transport.await_message(98)?;
        assert!(resized.windows(8).any(|part| part == [0, 0, 0, 132, 0, 0, 0, 50]), "{resized:?}");
        transport.send(&data(channel, "resized"))?;
        // It takes one more key, and is not heard of again.
        transport.listen()
    });
    let connection = connected(&server).await;
    let (mut input, mut output) = soon("shell", connection.shell("xterm-256color", 80, 24, None)).await.unwrap().split();
    input.send("echo".as_bytes().to_vec()).await.unwrap();
    assert_eq!(soon("echo", output.next()).await, Heard::Out("echo".into()));
    input.resize(132, 50).await.unwrap();
    assert_eq!(soon("resize", output.next()).await, Heard::Out("resized".into()));
    input.send("lost".as_bytes().to_vec()).await.unwrap();
    let Heard::Lost(failure) = soon("loss", output.next()).await else { panic!("not lost") };
    says("half-open", &failure, FailureKind::Timeout, "has not answered for");
    assert_eq!(input.unanswered(), b"lost");
    assert!(!connection.is_alive());
    assert_eq!(soon("end", connection.ended()).await, failure);
    assert_eq!(input.send("more".as_bytes().to_vec()).await.unwrap_err(), failure);
    assert_eq!(soon("again", output.next()).await, Heard::Lost(failure));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_ended_and_the_line_closed() {
    let (told, hung_up) = std::sync::mpsc::channel();
    let server = Hostile::after_exec(move |transport, _| {
        let signal = transport.await_message(98)?;
        assert!(signal.windows(4).any(|part| part == b"TERM"), "{signal:?}");
        transport.await_message(97)?;
        let gone = transport.stay_alive();
        told.send(gone.is_err()).unwrap();
        gone
    });
    let connection = connected(&server).await;
    let stream = soon("stream", connection.stream("sleep 1000")).await.unwrap();
    drop(stream);
    drop(connection);
    assert!(tokio::task::spawn_blocking(move || hung_up.recv_timeout(PATIENCE)).await.unwrap().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_or_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = refusal("nobody listens", address).await;
    says("nobody listens", &failure, FailureKind::Network, "nothing listens at 127.0.0.1");
}

fn fingerprint() -> String {
    host_key().public_key().fingerprint(HashAlg::Sha256).to_string()
}

const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const OTHER_KIND: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

fn pinned(folder: &std::path::Path, key: &str) {
    let Machine { account, region, instance } = machine();
    let pin =
        serde_json::json!({ "account": account, "region": region, "instance": instance, "key": key, "vouched": "the user" });
    std::fs::write(folder.join("host-keys.json"), serde_json::json!({ "version": 1, "pins": [pin] }).to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_trusted_once_is_not_asked_for_again() {
    let server = Hostile::after_login(Transport::stay_alive);
    let folder = tempfile::tempdir().unwrap();
    let door = Door::to(server.address);
    soon("open", door.open(folder.path())).await.unwrap();
    let asked = door.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].algorithm.as_str(), asked[0].fingerprint.as_str()), ("ssh-ed25519", fingerprint().as_str()));
    assert_eq!(asked[0].server.as_str(), "SSH-2.0-Hostile_1.0");
    assert!(asked[0].known.as_str().contains("no host keys yet"));
    soon("open", door.open(folder.path())).await.unwrap();
    assert_eq!(door.asked().len(), 1, "it is pinned");
    let keys = door.introduced();
    assert!(
        keys.len() == 2 && keys[0] != keys[1] && keys[0].starts_with("ssh-ed25519 "),
        "each connection has its own key: {keys:?}"
    );
    Pins::open(folder.path().join("host-keys.json")).unwrap().forget(&machine()).unwrap();
    soon("open", door.open(folder.path())).await.unwrap();
    assert_eq!(door.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_than_the_pinned_one_is_a_hard_stop() {
    for other in [OTHER, OTHER_KIND] {
        let server = Hostile::after_login(Transport::stay_alive);
        let folder = tempfile::tempdir().unwrap();
        pinned(folder.path(), other);
        let door = Door::to(server.address);
        let failure = soon("open", door.open(folder.path())).await.map(drop).unwrap_err();
        says(other, &failure, FailureKind::Refused, "HAS CHANGED");
        let theirs = russh::keys::PublicKey::from_openssh(other).unwrap().fingerprint(HashAlg::Sha256).to_string();
        assert!(failure.what.as_str().contains(&theirs) && failure.what.as_str().contains(&fingerprint()), "{failure}");
        assert!(door.introduced().is_empty() && door.asked().is_empty(), "nothing was announced, and nobody was asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_that_cannot_be_read_stop_everything() {
    let server = Hostile::after_login(Transport::stay_alive);
    let folder = tempfile::tempdir().unwrap();
    let login = login(folder.path()).unwrap();
    std::fs::write(folder.path().join("host-keys.json"), "{").unwrap();
    let door = Door::to(server.address);
    let failure = soon("open", Connection::open(&login, &door)).await.map(drop).unwrap_err();
    says("unreadable", &failure, FailureKind::Refused, "cannot be used");
    assert!(door.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_vouches_for_a_key_or_against_it() {
    let server = Hostile::after_login(Transport::stay_alive);
    let ours = host_key().public_key().to_openssh().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let door = Door { console: Ok(vec![OTHER_KIND.into(), ours]), trusts: false, ..Door::to(server.address) };
    soon("open", door.open(folder.path())).await.unwrap();
    assert!(door.asked().is_empty(), "nobody needs to be asked");
    let folder = tempfile::tempdir().unwrap();
    let door = Door { console: Ok(vec![OTHER.into()]), ..Door::to(server.address) };
    let failure = soon("open", door.open(folder.path())).await.map(drop).unwrap_err();
    says("contradicted", &failure, FailureKind::Refused, "printed on its console");
    assert!(failure.what.as_str().contains(&fingerprint()), "{failure}");
    assert!(door.introduced().is_empty() && door.asked().is_empty());
    assert!(!folder.path().join("host-keys.json").exists(), "it is not pinned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_trusted_ends_it_and_is_not_pinned() {
    let server = Hostile::after_login(Transport::stay_alive);
    let folder = tempfile::tempdir().unwrap();
    let denied = Failure::new(FailureKind::Denied, "not authorized to perform ec2:GetConsoleOutput", "");
    let door = Door { trusts: false, console: Err(denied), ..Door::to(server.address) };
    let failure = soon("open", door.open(folder.path())).await.map(drop).unwrap_err();
    says("not trusted", &failure, FailureKind::Cancelled, "was not trusted");
    assert!(door.asked()[0].known.as_str().contains("GetConsoleOutput"), "who may not look is asked");
    assert!(door.introduced().is_empty() && !folder.path().join("host-keys.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_came_too_late_is_announced_again() {
    let refuses = |times: usize| {
        Hostile::after_kex(move |transport| {
            transport.accept_service()?;
            for _ in 0..times {
                transport.await_message(50)?;
                transport.send(&Message::new(51).text("publickey,password").u8(0))?;
            }
            transport.await_message(50)?;
            transport.send(&Message::new(52))?;
            transport.stay_alive()
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let door = Door::to(refuses(1).address);
    soon("open", door.open(folder.path())).await.unwrap();
    let keys = door.introduced();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    let door = Door::to(refuses(9).address);
    let failure = soon("open", door.open(folder.path())).await.map(drop).unwrap_err();
    says("wrong user", &failure, FailureKind::Denied, "ubuntu for Ubuntu, ec2-user for Amazon Linux");
    assert!(failure.hint.as_str().contains("publickey, password"), "{failure}");
    assert_eq!(door.introduced().len(), 2);
}
