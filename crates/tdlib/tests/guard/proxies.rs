use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProxyKind {
    Socks5,
    Http,
    /// An HTTP proxy without `CONNECT`.
    HttpOnly,
    Mtproto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    /// Its port is closed.
    Dead,
    /// It accepts connections and says nothing.
    Silent,
    /// It refuses each request, or closes the connection if the protocol has no refusal.
    Refusing,
    /// It says that it has connected, and then nothing.
    Stalling,
}

/// A proxy that does not work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProxyCase {
    kind: ProxyKind,
    behaviour: Behaviour,
    by_name: bool,
    index: u8,
}

impl ProxyCase {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        use {Behaviour as B, ProxyKind as K};
        let cases = [
            (K::Socks5, &[B::Dead, B::Silent, B::Refusing, B::Stalling][..]),
            (K::Http, &[B::Dead, B::Silent, B::Refusing, B::Stalling]),
            (K::HttpOnly, &[B::Dead, B::Silent, B::Refusing]),
            (K::Mtproto, &[B::Dead, B::Silent, B::Refusing]),
        ];
        let cases = cases.into_iter().flat_map(|(kind, behaviours)| {
            behaviours
                .iter()
                .flat_map(move |&behaviour| [false, true].map(|by_name| (kind, behaviour, by_name)))
        });
        (1..).zip(cases).map(|(index, (kind, behaviour, by_name))| Self {
            kind,
            behaviour,
            by_name,
            index,
        })
    }

    /// Whether TDLib goes past it within seconds, if nothing keeps it from that: it asks for any
    /// host name elsewhere, and it does not count these as proxies that are being connected to.
    pub(crate) fn leaks(self) -> bool {
        let Self { kind, behaviour, by_name, .. } = self;
        let mute = behaviour == Behaviour::Stalling && kind == ProxyKind::Socks5;
        by_name || mute || matches!(kind, ProxyKind::HttpOnly | ProxyKind::Mtproto)
    }

    pub(crate) fn name(self) -> String {
        let by = if self.by_name { "name" } else { "address" };
        format!("{:?}-{:?}-by-{by}", self.kind, self.behaviour).to_lowercase()
    }

    /// As TDLib is told: an address, or a host name.
    pub(crate) fn server(self) -> String {
        let Self { index, by_name, .. } = self;
        if by_name { format!("p{index}.proxy.test") } else { self.address().ip().to_string() }
    }

    pub(crate) fn address(self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, self.index), 1000 + u16::from(self.index))
    }

    /// TDLib's `proxy` object.
    pub(crate) fn object(self) -> Value {
        let kind = match self.kind {
            ProxyKind::Socks5 => {
                json!({"@type": "proxyTypeSocks5", "username": "", "password": ""})
            }
            ProxyKind::Http | ProxyKind::HttpOnly => json!({
                "@type": "proxyTypeHttp", "username": "", "password": "",
                "http_only": self.kind == ProxyKind::HttpOnly,
            }),
            ProxyKind::Mtproto => json!({
                "@type": "proxyTypeMtproto", "secret": "dd00112233445566778899aabbccddeeff",
            }),
        };
        json!({"server": self.server(), "port": self.address().port(), "type": kind})
    }

    /// Starts the proxy's own side, in threads.
    pub(crate) fn serve(self) {
        if self.behaviour == Behaviour::Dead {
            return;
        }
        let listener = TcpListener::bind(self.address()).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || self.serve_connection(stream.unwrap()));
            }
        });
    }

    fn serve_connection(self, mut stream: TcpStream) -> Option<()> {
        let connects = self.behaviour == Behaviour::Stalling;
        if self.behaviour != Behaviour::Silent {
            read(&mut stream)?;
            match self.kind {
                ProxyKind::Socks5 => {
                    stream.write_all(&[5, 0]).ok()?;
                    read(&mut stream)?;
                    let refused = u8::from(!connects) * 2;
                    stream.write_all(&[5, refused, 0, 1, 0, 0, 0, 0, 0, 0]).ok()?;
                }
                ProxyKind::Http | ProxyKind::HttpOnly => {
                    let status = if connects { "200 OK" } else { "403 Forbidden" };
                    stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).ok()?;
                }
                ProxyKind::Mtproto => {}
            }
            if !connects {
                return None;
            }
        }
        while read(&mut stream).is_some() {}
        None
    }
}

/// Reads something; `None` at the end.
fn read(stream: &mut TcpStream) -> Option<()> {
    let read = stream.read(&mut [0; 4096]).ok()?;
    (read > 0).then_some(())
}
