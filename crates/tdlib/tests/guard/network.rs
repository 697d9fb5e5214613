use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};

use crate::proxies::ProxyCase;

/// What leads TDLib somewhere: a connection that is opened, a datagram, or a packet of another kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Connection(SocketAddrV4),
    Datagram(SocketAddrV4),
    Question(String),
    Other(String),
}

/// Everything that was attempted in this network namespace.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Vec<Attempt>>>);

impl Network {
    /// Starts to watch every packet, and to answer DNS questions.
    pub(crate) fn watch() -> Self {
        let network = Self::default();
        let (packets, questions) = (network.clone(), network.clone());
        let (family, kind) = (AddressFamily::PACKET, SocketType::DGRAM);
        let socket = socket_with(family, kind, SocketFlags::empty(), Some(eth::ALL)).unwrap();
        let mut buffer = vec![0; 1 << 16];
        thread::spawn(move || {
            loop {
                let (read, _) = recv(&socket, &mut buffer[..], RecvFlags::empty()).unwrap();
                if let Some(attempt) = read_packet(&buffer[..read]) {
                    packets.push(attempt);
                }
            }
        });
        let resolver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
        thread::spawn(move || {
            loop {
                let mut question = [0; 512];
                let (read, from) = resolver.recv_from(&mut question).unwrap();
                let (name, answer) = answer(&question[..read]);
                questions.push(Attempt::Question(name));
                resolver.send_to(&answer, from).unwrap();
            }
        });
        network
    }

    fn push(&self, attempt: Attempt) {
        self.0.lock().unwrap().push(attempt);
    }

    /// The attempts so far that `wanted` accepts.
    pub(crate) fn attempts(&self, wanted: impl Fn(&Attempt) -> bool) -> Vec<Attempt> {
        self.0.lock().unwrap().iter().filter(|attempt| wanted(attempt)).cloned().collect()
    }
}

/// What an IP packet attempts; `None` for the continuation of something, and for DNS, which the
/// resolver records.
fn read_packet(packet: &[u8]) -> Option<Attempt> {
    let other = || Some(Attempt::Other(format!("{packet:02x?}")));
    if packet[0] >> 4 != 4 {
        return other();
    }
    let payload = &packet[usize::from(packet[0] & 15) * 4..];
    let port = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
    let to: [u8; 4] = packet[16..20].try_into().unwrap();
    let destination = SocketAddrV4::new(to.into(), port(2));
    match packet[9] {
        // SYN without ACK.
        6 => (payload[13] & 0x12 == 2).then_some(Attempt::Connection(destination)),
        17 if destination == SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53) => None,
        17 if port(0) == 53 && to == [127, 0, 0, 1] => None,
        17 => Some(Attempt::Datagram(destination)),
        _ => other(),
    }
}

/// The name that is asked for, and an answer: the proxy's address or another one.
fn answer(question: &[u8]) -> (String, Vec<u8>) {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    let (name, end) = (labels.join("."), at + 5);
    let is_address = question[at + 1..at + 3] == [0, 1];
    let mut answer = question[..end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    if is_address {
        let proxy = ProxyCase::all().find(|case| case.server() == name);
        let address = proxy.map_or(Ipv4Addr::new(192, 0, 2, 53), |case| *case.address().ip());
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address.octets());
    }
    (name, answer)
}
