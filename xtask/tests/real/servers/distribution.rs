//! A real registry: Debian's `docker-registry` (distribution 2.8) on a free port, with its own directory.
//!
//! It is gone, with everything in it, when its handle is dropped.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub struct Distribution {
    /// `127.0.0.1:port`.
    pub host: String,
    server: Child,
    directory: TempDir,
}

impl Distribution {
    /// A registry that is open to everyone.
    pub fn open() -> Distribution {
        Distribution::start(None)
    }

    /// A registry that knows one user.
    pub fn with_user(name: &str, password: &str) -> Distribution {
        Distribution::start(Some((name, password)))
    }

    fn start(user: Option<(&str, &str)>) -> Distribution {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        let auth = user.map(|user| {
            let users = root.join("htpasswd");
            std::fs::write(&users, htpasswd(user)).expect("the user file is written");
            format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                users.display()
            )
        });
        let address = free_address();
        let config = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\n\
             validation:\n  manifests:\n    urls:\n      allow: ['^https://']\n\
             storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
             http:\n  addr: {address}\n{}",
            root.join("data").display(),
            auth.unwrap_or_default(),
        );
        std::fs::write(root.join("config.yml"), config).expect("the configuration is written");
        let server = serve(root);
        let registry = Distribution {
            host: address,
            server,
            directory,
        };
        registry.wait_until_up();
        registry
    }

    /// How many bytes each open upload of a repository has.
    pub fn open_uploads(&self, repository: &str) -> Vec<u64> {
        let path = format!("data/docker/registry/v2/repositories/{repository}/_uploads");
        let uploads = std::fs::read_dir(self.directory.path().join(path));
        let uploads = uploads.into_iter().flatten().flatten();
        let sizes = uploads.filter_map(|it| Some(it.path().join("data").metadata().ok()?.len()));
        sizes.collect()
    }

    /// Kills it, so that its connections break, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Starts what was killed again: the same address and the same content.
    pub fn restart(&mut self) {
        self.server = serve(self.directory.path());
        self.wait_until_up();
    }

    fn wait_until_up(&self) {
        let give_up = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&self.host).is_err() {
            assert!(
                Instant::now() < give_up,
                "the registry did not start: {}",
                std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server whose configuration is in this directory.
fn serve(root: &Path) -> Child {
    let log = File::create(root.join("log")).expect("a log file");
    Command::new("docker-registry")
        .arg("serve")
        .arg(root.join("config.yml"))
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("`docker-registry` starts; hint: apt-get install docker-registry")
}

/// A line of an htpasswd file; the registry takes bcrypt only.
fn htpasswd((name, password): (&str, &str)) -> Vec<u8> {
    let made = Command::new("htpasswd")
        .args(["-Bbn", "-C", "4", name, password])
        .output()
        .expect("`htpasswd` runs; hint: apt-get install apache2-utils");
    assert!(made.status.success(), "htpasswd: {made:?}");
    made.stdout
}

/// An address that nobody listens on yet.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}
