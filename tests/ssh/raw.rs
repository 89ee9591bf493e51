//! An SSH server that can say anything: the transport of RFC 4253 with curve25519-sha256 and chacha20-poly1305, and whole
//! messages by hand. For each of its connections a script is run in a thread of its own.

// Lengths of messages in a test are small.
#![allow(clippy::cast_possible_truncation)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use russh::keys::signature::Signer;
use russh::keys::{Algorithm, PrivateKey};
use sha2::{Digest, Sha256};

use super::crypto::{chacha20, poly1305, x25519};

const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// What each list of a KEXINIT says, in the order of RFC 4253, 7.1.
#[derive(Clone)]
pub struct Offer(pub [&'static str; 8]);

impl Default for Offer {
    fn default() -> Self {
        let cipher = "chacha20-poly1305@openssh.com";
        Self([
            "curve25519-sha256,kex-strict-s-v00@openssh.com",
            "ssh-ed25519",
            cipher,
            cipher,
            "hmac-sha2-256",
            "hmac-sha2-256",
            "none",
            "none",
        ])
    }
}

/// A server on a port of its own, for as long as the test runs.
pub struct Hostile {
    pub address: SocketAddr,
}

impl Hostile {
    /// Runs the script on each connection; what it returns an error for is the client's going away.
    pub fn start(script: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("has an address");
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for line in listener.incoming().flatten() {
                let script = Arc::clone(&script);
                std::thread::spawn(move || {
                    let _ = script(line);
                });
            }
        });
        Self { address }
    }

    /// As [`Hostile::start`], after the key exchange.
    pub fn after_kex(script: impl Fn(&mut Transport) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::start(move |line| script(&mut Transport::open(line, &Offer::default())?))
    }

    /// As [`Hostile::start`], after the login, which it grants to everybody.
    pub fn after_login(script: impl Fn(&mut Transport) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::after_kex(move |transport| {
            transport.let_in()?;
            script(transport)
        })
    }

    /// As [`Hostile::start`], with a channel open on which a command is to run; the script gets the client's number of it.
    pub fn after_exec(script: impl Fn(&mut Transport, u32) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::after_login(move |transport| {
            let channel = transport.take_channel(1 << 20, 32 * 1024)?;
            transport.await_message(98)?;
            transport.send(&Message::new(99).u32(channel))?;
            script(transport, channel)
        })
    }
}

/// A message by hand.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    pub fn new(number: u8) -> Self {
        Self(vec![number])
    }

    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn bytes(self, value: &[u8]) -> Self {
        let mut this = self.u32(value.len() as u32);
        this.0.extend(value);
        this
    }

    pub fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }
}

/// Both directions' keys: for the length and for the rest.
struct Keys {
    rest: [u8; 32],
    length: [u8; 32],
}

/// A connection, after its first key exchange.
pub struct Transport {
    line: TcpStream,
    client_id: String,
    host_key: PrivateKey,
    offer: Offer,
    session: Option<Vec<u8>>,
    reads: Option<Keys>,
    writes: Option<Keys>,
    read: u64,
    written: u64,
}

const SERVER_ID: &str = "SSH-2.0-Hostile_1.0";

impl Transport {
    pub fn open(line: TcpStream, offer: &Offer) -> io::Result<Self> {
        let mut transport = Self::greet(line, offer)?;
        transport.exchange(None)?;
        Ok(transport)
    }

    /// Only greets.
    pub fn greet(mut line: TcpStream, offer: &Offer) -> io::Result<Self> {
        line.set_nodelay(true)?;
        write!(line, "{SERVER_ID}\r\n")?;
        let mut client_id = Vec::new();
        let mut byte = [0];
        while byte[0] != b'\n' {
            line.read_exact(&mut byte)?;
            client_id.push(byte[0]);
        }
        let client_id = String::from_utf8_lossy(&client_id).trim_end().to_owned();
        Ok(Self {
            line,
            client_id,
            host_key: host_key(),
            offer: offer.clone(),
            session: None,
            reads: None,
            writes: None,
            read: 0,
            written: 0,
        })
    }

    pub fn kexinit(&self) -> Message {
        let mut message = Message::new(KEXINIT);
        message.0.extend([7; 16]);
        let message = self.offer.0.iter().fold(message, |message, list| message.text(list));
        message.text("").text("").u8(0).u32(0)
    }

    /// Exchanges keys, as the side that starts it unless the client's KEXINIT was read already.
    pub fn exchange(&mut self, theirs: Option<Vec<u8>>) -> io::Result<()> {
        let ours = self.kexinit();
        self.send(&ours)?;
        let theirs = match theirs {
            Some(theirs) => theirs,
            None => self.await_message(KEXINIT)?,
        };
        let init = self.await_message(30)?;
        let point: [u8; 32] = init.get(5..37).and_then(|point| point.try_into().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let secret = [9_u8; 32];
        let mut base = [0; 32];
        base[0] = 9;
        let public = x25519(&secret, &base);
        let shared = mpint(&x25519(&secret, &point));
        let key = self.host_key.public_key().to_bytes().expect("a key");
        let mut hashed = Message::default()
            .text(&self.client_id)
            .text(SERVER_ID)
            .bytes(&theirs)
            .bytes(&ours.0)
            .bytes(&key)
            .bytes(&point)
            .bytes(&public)
            .0;
        hashed.extend(&shared);
        let hash = Sha256::digest(&hashed).to_vec();
        let signature = self.host_key.try_sign(&hash).expect("signs");
        let signature = Message::default().text("ssh-ed25519").bytes(signature.as_bytes()).0;
        self.send(&Message::new(31).bytes(&key).bytes(&public).bytes(&signature))?;
        self.send(&Message::new(NEWKEYS))?;
        let session = self.session.get_or_insert_with(|| hash.clone()).clone();
        self.writes = Some(keys(&shared, &hash, &session, b'D'));
        self.written = 0;
        self.await_message(NEWKEYS)?;
        self.reads = Some(keys(&shared, &hash, &session, b'C'));
        self.read = 0;
        Ok(())
    }

    /// Lets everybody in.
    pub fn let_in(&mut self) -> io::Result<()> {
        self.accept_service()?;
        self.await_message(50)?;
        self.send(&Message::new(52))
    }

    pub fn accept_service(&mut self) -> io::Result<()> {
        self.await_message(5)?;
        self.send(&Message::new(6).text("ssh-userauth"))
    }

    /// Confirms the channel that the client opens next, and says its number.
    pub fn take_channel(&mut self, window: u32, packet: u32) -> io::Result<u32> {
        let open = self.await_message(90)?;
        let name = u32::from_be_bytes(open[1..5].try_into().expect("four bytes")) as usize;
        let channel = u32::from_be_bytes(open[5 + name..9 + name].try_into().expect("four bytes"));
        self.send(&Message::new(91).u32(channel).u32(0).u32(window).u32(packet))?;
        Ok(channel)
    }

    /// Reads on until this message. What else comes is not answered, but for the client's wish to renew the keys.
    pub fn await_message(&mut self, number: u8) -> io::Result<Vec<u8>> {
        loop {
            let message = self.receive()?;
            if message.first() == Some(&number) {
                return Ok(message);
            }
        }
    }

    /// Answers nothing any more, and reads on until the client goes.
    pub fn listen(&mut self) -> io::Result<()> {
        loop {
            self.receive()?;
        }
    }

    /// As [`Transport::listen`], but says that it is alive whenever it is asked.
    pub fn stay_alive(&mut self) -> io::Result<()> {
        loop {
            if self.receive()?.first() == Some(&80) {
                self.send(&Message::new(82))?;
            }
        }
    }

    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        let sequence = self.written;
        self.written += 1;
        let Some(keys) = &self.writes else {
            return self.line.write_all(&packet(&message.0, 4));
        };
        let mut sealed = packet(&message.0, 0);
        let (length, rest) = sealed.split_at_mut(4);
        chacha20(&keys.length, 0, sequence, length);
        chacha20(&keys.rest, 1, sequence, rest);
        let mut one_time = [0; 32];
        chacha20(&keys.rest, 0, sequence, &mut one_time);
        let tag = poly1305(&one_time, &sealed);
        sealed.extend(tag);
        self.line.write_all(&sealed)
    }

    /// Sends a packet with a seal that is not one.
    pub fn spoil(&mut self) -> io::Result<()> {
        let keys = self.writes.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        let mut sealed = packet(&[2, 0, 0, 0, 0], 0);
        let (length, rest) = sealed.split_at_mut(4);
        chacha20(&keys.length, 0, self.written, length);
        chacha20(&keys.rest, 1, self.written, rest);
        sealed.extend([0; 16]);
        self.line.write_all(&sealed)?;
        self.listen()
    }

    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let sequence = self.read;
        self.read += 1;
        let mut length = [0; 4];
        self.line.read_exact(&mut length)?;
        if let Some(keys) = &self.reads {
            chacha20(&keys.length, 0, sequence, &mut length);
        }
        let mut rest = vec![0; u32::from_be_bytes(length) as usize];
        self.line.read_exact(&mut rest)?;
        if let Some(keys) = &self.reads {
            let mut tag = [0; 16];
            self.line.read_exact(&mut tag)?;
            chacha20(&keys.rest, 1, sequence, &mut rest);
        }
        let padding = usize::from(*rest.first().ok_or(io::ErrorKind::InvalidData)?);
        let end = rest.len().checked_sub(padding).ok_or(io::ErrorKind::InvalidData)?;
        Ok(rest.get(1..end).ok_or(io::ErrorKind::InvalidData)?.to_vec())
    }
}

/// The host key of all servers of this kind.
pub fn host_key() -> PrivateKey {
    let seed = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[5; 32]);
    let key = PrivateKey::from(seed);
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    key
}

/// Length, padding and payload; the length counts towards the block of 8 bytes unless it is encrypted by itself.
pub fn packet(payload: &[u8], counted: usize) -> Vec<u8> {
    let padding = 4 + (8 - (counted + 1 + payload.len() + 4) % 8) % 8;
    let mut packet = ((1 + payload.len() + padding) as u32).to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    packet
}

/// A positive number as the protocol writes it.
fn mpint(big_endian: &[u8]) -> Vec<u8> {
    let mut number: Vec<u8> = big_endian.iter().copied().skip_while(|byte| *byte == 0).collect();
    if number.first().is_some_and(|byte| byte & 0x80 != 0) {
        number.insert(0, 0);
    }
    Message::default().bytes(&number).0
}

fn keys(shared: &[u8], hash: &[u8], session: &[u8], letter: u8) -> Keys {
    let first = Sha256::new().chain_update(shared).chain_update(hash).chain_update([letter]).chain_update(session).finalize();
    let second = Sha256::new().chain_update(shared).chain_update(hash).chain_update(first).finalize();
    Keys { rest: first.into(), length: second.into() }
}
