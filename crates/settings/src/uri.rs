//! The URIs of servers.

use url::{Host, Url};

/// A server's URI. Its password never shows.
pub(crate) struct ServerUri(Url);

impl ServerUri {
    /// Parses a URI with this scheme. The libraries that connect would take `localhost`, or a port of
    /// their own, for what they do not understand.
    ///
    /// # Errors
    ///
    /// What is wrong, without the URI.
    pub(crate) fn parse(text: &str, scheme: &str) -> Result<Self, String> {
        if !text.starts_with(&format!("{scheme}://")) {
            return Err(format!("must begin with {scheme}://"));
        }
        let Ok(uri) = Url::parse(text) else {
            return Err(format!("is not a valid {scheme}:// URI"));
        };
        if uri.host_str().unwrap_or_default().is_empty() {
            return Err("names no host".to_owned());
        }
        if uri.port() == Some(0) {
            return Err("names port 0".to_owned());
        }
        Ok(Self(uri))
    }

    /// The host; an IPv6 address without brackets.
    pub(crate) fn host(&self) -> String {
        match self.0.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            host => host.map(|host| host.to_string()).unwrap_or_default(),
        }
    }

    /// The path, without its first slash.
    pub(crate) fn path(&self) -> &str {
        self.0.path().trim_start_matches('/')
    }
}
