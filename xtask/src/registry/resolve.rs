//! Name resolution that asks once: a name keeps its first addresses until none of them can be connected to.
//!
//! A geo-replicated registry moves its name between replicas that do not yet hold the same blobs, so a push that
//! follows it fails half-way (Azure/acr#588).

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The names seen so far; a clone shares them.
#[derive(Clone, Default)]
pub(super) struct PinnedResolver(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl PinnedResolver {
    /// Forgets every address, after one of them was dead.
    pub(super) fn release(&self) {
        self.0.lock().expect("no holder panics").clear();
    }

    /// Keeps `addresses` unless there are some; returns those that are kept.
    fn keep(&self, name: String, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let mut names = self.0.lock().expect("no holder panics");
        names.entry(name).or_insert(addresses).clone()
    }
}

impl Resolve for PinnedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let pinned = self.clone();
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let kept = pinned
                .0
                .lock()
                .expect("no holder panics")
                .get(&name)
                .cloned();
            let addresses = match kept {
                Some(addresses) => addresses,
                None => {
                    let asked = name.clone();
                    // reqwest sets the port of the URL.
                    let lookup = move || (asked.as_str(), 0).to_socket_addrs();
                    let found = tokio::task::spawn_blocking(lookup).await??;
                    pinned.keep(name, found.collect())
                }
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(pinned: &PinnedResolver, name: &str) -> Vec<SocketAddr> {
        let addresses = pinned.resolve(name.parse().unwrap()).await;
        addresses.expect(name).collect()
    }

    #[tokio::test]
    async fn a_name_keeps_its_first_address_until_it_is_released() {
        let pinned = PinnedResolver::default();
        let real = resolve(&pinned, "localhost").await;
        assert!(real.iter().all(|address| address.ip().is_loopback()));

        let first: SocketAddr = "192.0.2.1:0".parse().unwrap();
        pinned.release();
        pinned.keep("localhost".to_owned(), vec![first]);
        assert_eq!(pinned.keep("localhost".to_owned(), real.clone()), [first]);
        assert_eq!(resolve(&pinned, "localhost").await, [first]);

        pinned.release();
        assert_eq!(resolve(&pinned, "localhost").await, real);
    }
}
