//! The examples of the documents that `sync` was made from, unchanged but for the names of the registries.

use crate::support::distribution::Distribution;
use crate::support::mirror::Mirror;
use crate::support::stage::PASSWORD;

const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A source that is open to everyone, a destination that knows one user, and both names that the documents use.
struct Pair {
    _registries: [Distribution; 2],
    mirror: Mirror,
}

impl Pair {
    /// Images that the document names without a registry begin with one of `sources`.
    fn new(sources: &[&str], destination: &str) -> Pair {
        let registries = [
            Distribution::open(),
            Distribution::with_user("robot$ci", PASSWORD),
        ];
        let [source, there] = registries.each_ref().map(|it| it.host.as_str());
        let bare: Vec<(&str, String)> = sources
            .iter()
            .map(|it| (*it, format!("{source}/{it}")))
            .collect();
        let mut hosts = vec![(destination, there)];
        hosts.extend(bare.iter().map(|(name, it)| (*name, it.as_str())));
        let mirror = Mirror::between(&hosts);
        Pair {
            _registries: registries,
            mirror,
        }
    }
}

/// As GitHub puts the secrets into a workflow before it runs.
fn with_secrets(text: &str) -> String {
    text.replace("${{ secrets.AZURE_ACR_USERNAME }}", "robot$ci")
        .replace("${{ secrets.AZURE_ACR_PASSWORD }}", PASSWORD)
}

const CONFIG: &str = r#"{
  "auth": {
    "hagicode.azurecr.io": {
      "username": "${{ secrets.AZURE_ACR_USERNAME }}",
      "password": "${{ secrets.AZURE_ACR_PASSWORD }}"
    }
  },
  "rules": [
    {
      "src": "newbe36524/hagicode",
      "dest": "hagicode.azurecr.io/hagicode",
      "tags": ["*"]  // * 表示同步所有标签，可指定具体标签如 ["latest", "v1.0"]
    }
  ]
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_old_config_file_mirrors_every_tag() {
    let Pair { mirror, .. } = &Pair::new(&["newbe36524/"], "hagicode.azurecr.io");
    let source = "newbe36524/hagicode";
    let mut digests = Vec::new();
    for tag in ["1.0.0", "1.0.1", "latest"] {
        digests.push((tag, mirror.publish(&format!("{source}:{tag}"), &BOTH).await));
    }
    mirror.write("config.json", &with_secrets(CONFIG));
    let arguments = ["--config=config.json", "--proc=10", "--log=sync.log"];
    let run = mirror.sync(&arguments).await;
    run.expect(0, &["sync: 3 of 3 in place"]);
    for (tag, digest) in &digests {
        let there = format!("hagicode.azurecr.io/hagicode:{tag}");
        assert_eq!(mirror.digest(&there), *digest, "{tag}");
        assert!(mirror.read("sync.log").contains(&there));
    }
}
