//! The examples of the documents that `sync` was made from, unchanged but for the names of the registries.

use crate::servers::distribution::Distribution;
use crate::servers::release_fixture::{PASSWORD, USER};
use crate::support::sync_fixture::SyncFixture;

const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A source that is open to everyone, a destination that knows one user, and both names that the documents use.
struct Pair {
    registries: [Distribution; 2],
    fixture: SyncFixture,
}

impl Pair {
    /// Images that the document names without a registry begin with one of `sources`.
    fn new(sources: &[&str], destination: &str) -> Pair {
        let registries = [
            Distribution::open(),
            Distribution::with_user(USER, PASSWORD),
        ];
        let [source, there] = registries.each_ref().map(|it| it.host.as_str());
        let bare: Vec<(&str, String)> = sources
            .iter()
            .map(|it| (*it, format!("{source}/{it}")))
            .collect();
        let mut hosts = vec![(destination, there)];
        hosts.extend(bare.iter().map(|(name, it)| (*name, it.as_str())));
        let fixture = SyncFixture::between(&hosts);
        Pair {
            registries,
            fixture,
        }
    }

    /// The tags that skopeo lists at the destination.
    fn tags(&self, repository: &str) -> Vec<String> {
        self.fixture.tags(repository)
    }
}

/// As GitHub puts the secrets into a workflow before it runs.
fn with_secrets(text: &str) -> String {
    text.replace("${{ secrets.AZURE_ACR_USERNAME }}", USER)
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
    let Pair { fixture, .. } = &Pair::new(&["newbe36524/"], "hagicode.azurecr.io");
    let source = "newbe36524/hagicode";
    let mut digests = Vec::new();
    for tag in ["1.0.0", "1.0.1", "latest"] {
        digests.push((
            tag,
            fixture.publish(&format!("{source}:{tag}"), &BOTH).await,
        ));
    }
    fixture.write("config.json", &with_secrets(CONFIG));
    let arguments = ["--config=config.json", "--proc=10", "--log=sync.log"];
    let run = fixture.sync(&arguments).await;
    run.expect(0, &["sync: 3 of 3 in place"]);
    for (tag, digest) in &digests {
        let there = format!("hagicode.azurecr.io/hagicode:{tag}");
        assert_eq!(fixture.digest(&there), *digest, "{tag}");
        assert!(fixture.read("sync.log").contains(&there));
    }
}

const AUTH: &str = r#"hagicode.azurecr.io:
  username: "${{ secrets.AZURE_ACR_USERNAME }}"
  password: "${{ secrets.AZURE_ACR_PASSWORD }}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_two_files_of_image_syncer_mirror_every_tag_or_those_named() {
    let pair = Pair::new(&["docker.io/"], "hagicode.azurecr.io");
    let fixture = &pair.fixture;
    let (here, there) = (
        "docker.io/newbe36524/hagicode",
        "hagicode.azurecr.io/hagicode",
    );
    let mut digests = Vec::new();
    for tag in ["latest", "v1.0", "v1.1", "nightly"] {
        digests.push(fixture.publish(&format!("{here}:{tag}"), &BOTH).await);
    }
    fixture
        .publish("docker.io/newbe36524/another-image:x", &BOTH)
        .await;
    fixture.write("auth.yaml", &with_secrets(AUTH));
    let sync = async |images: &str| {
        fixture.write("images.yaml", images);
        let files = ["--auth=./auth.yaml", "--images=./images.yaml"];
        let run = fixture
            .sync(&[&files[..], &["--proc=10", "--retries=3"]].concat())
            .await;
        run.expect(0, &["done"]);
    };

    // Q1: only some tags.
    sync(
        "# 仅同步 latest 和 v1.0 标签\n\
         docker.io/newbe36524/hagicode:latest: hagicode.azurecr.io/hagicode:latest\n\
         docker.io/newbe36524/hagicode:v1.0: hagicode.azurecr.io/hagicode:v1.0\n",
    )
    .await;
    assert_eq!(pair.tags(there), ["latest", "v1.0"]);
    // The article's filter, as its `echo` writes it.
    sync("docker.io/newbe36524/hagicode:v* : hagicode.azurecr.io/hagicode:v*\n").await;
    assert_eq!(pair.tags(there), ["latest", "v1.0", "v1.1"]);
    // The article's own file, and Q2: several repositories.
    sync(
        "docker.io/newbe36524/hagicode: hagicode.azurecr.io/hagicode\n\
         docker.io/newbe36524/another-image: hagicode.azurecr.io/another-image\n",
    )
    .await;
    assert_eq!(pair.tags(there), ["latest", "nightly", "v1.0", "v1.1"]);
    assert_eq!(pair.tags("hagicode.azurecr.io/another-image"), ["x"]);
    let found =
        ["latest", "v1.0", "v1.1", "nightly"].map(|tag| fixture.digest(&format!("{there}:{tag}")));
    assert_eq!(found[..], digests);
}

const IMAGES: &str = r#"[
    {
        "source": "nginx:latest",
        "target": "nginx",
        "tags": ["latest"],
        "architectures": ["amd64", "arm64"]
    },
    {
        "source": "ubuntu:22.04",
        "target": "ubuntu",
        "tags": ["22.04", "jammy", "latest"],
        "architectures": ["amd64", "arm64"]
    },
    {
        "source": "vllm/vllm-openai:v0.11.0",
        "target": "vllm-openai",
        "tags": ["v0.11.0", "latest"],
        "architectures": ["amd64", "arm64"]
    },
    {
        "source": "ghcr.io/open-webui/open-webui:main",
        "target": "open-webui",
        "tags": ["main", "latest"],
        "architectures": ["amd64", "arm64"]
    },
    {
        "source": "myapp:production",
        "target": "myapp-backup",
        "tags": ["production", "latest"],
        "architectures": ["amd64"]
    }
]
"#;

const ALIYUN: &str = "registry.cn-hangzhou.aliyuncs.com";

fn transfer() -> Pair {
    let sources = ["nginx:", "ubuntu:", "vllm/", "ghcr.io/", "myapp:"];
    let mut pair = Pair::new(&sources, ALIYUN);
    let workspace = &mut pair.fixture.workspace;
    workspace.set("REGISTRY", &pair.registries[1].host);
    workspace.set("ALIYUN_USERNAME", USER);
    workspace.set("ALIYUN_PASSWORD", PASSWORD);
    workspace.set("ALIYUN_NAMESPACE", "mirror");
    pair
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transfer_tools_images_get_all_their_tags_and_chosen_architectures() {
    let pair = transfer();
    let fixture = &pair.fixture;
    let nginx = fixture.publish("nginx:latest", &BOTH).await;
    let more = ["linux/amd64", "linux/arm/v7", "linux/arm64", "linux/s390x"];
    fixture.publish("ubuntu:22.04", &more).await;
    fixture.publish("vllm/vllm-openai:v0.11.0", &BOTH).await;
    fixture
        .publish("ghcr.io/open-webui/open-webui:main", &BOTH)
        .await;
    let single = fixture.publish("myapp:production", &["linux/amd64"]).await;
    fixture.write("images.json", IMAGES);
    fixture
        .sync(&["images.json"])
        .await
        .expect(0, &["sync: 5 of 5 in place"]);

    let digest = |name: &str| fixture.digest(&format!("{ALIYUN}/mirror/{name}"));
    assert_eq!(digest("nginx:latest"), nginx);
    for tag in ["production", "latest"] {
        assert_eq!(digest(&format!("myapp-backup:{tag}")), single, "{tag}");
    }
    for tag in ["22.04", "jammy", "latest"] {
        let image = format!("{ALIYUN}/mirror/ubuntu:{tag}");
        assert_eq!(fixture.platforms(&image), BOTH, "{tag}");
    }
    assert_eq!(
        pair.tags(&format!("{ALIYUN}/mirror/vllm-openai")),
        ["latest", "v0.11.0"]
    );
    assert_eq!(
        pair.tags(&format!("{ALIYUN}/mirror/open-webui")),
        ["latest", "main"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_architecture_that_the_source_lacks_lets_the_others_go_on() {
    let pair = transfer();
    let fixture = &pair.fixture;
    fixture
        .publish("nginx:latest", &["linux/amd64", "linux/s390x"])
        .await;
    fixture
        .publish("ubuntu:22.04", &["linux/ppc64le", "linux/s390x"])
        .await;
    fixture
        .publish("vllm/vllm-openai:v0.11.0", &["linux/arm64"])
        .await;
    fixture
        .publish("ghcr.io/open-webui/open-webui:main", &BOTH)
        .await;
    fixture.write("images.json", IMAGES);
    let run = fixture
        .sync(&["images.json", "--report", "report.json"])
        .await;
    run.expect(
        3,
        &[
            "the source has no image for linux/arm64",
            // Nothing of it can be taken, so it says what there is.
            "there is no image for linux/amd64, linux/arm64; it has linux/ppc64le, linux/s390x",
            "myapp:production` does not exist",
        ],
    );
    let report = fixture.report("report.json");
    let verdicts: Vec<_> = report["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["status"].clone())
        .collect();
    assert_eq!(
        verdicts,
        ["degraded", "failed", "degraded", "created", "failed"]
    );
    assert_eq!(
        fixture.platforms(&format!("{ALIYUN}/mirror/nginx:latest")),
        ["linux/amd64"]
    );
}

const LIST: &str = "# 基础镜像
nvidia/cuda:12.4.1-devel-ubuntu22.04

# 注释的镜像（不会被同步）
# linuxserver/qbittorrent:5.1.2

# 数据库镜像
# postgis/postgis:16-3.4-alpine
# mysql:latest
";

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_list_keeps_the_last_segment_and_logs_what_succeeded() {
    const BEIJING: &str = "registry.cn-beijing.aliyuncs.com";
    let mut pair = Pair::new(&["nvidia/", "ghcr.io/", "redis"], BEIJING);
    let workspace = &mut pair.fixture.workspace;
    workspace.set("REGISTRY", &pair.registries[1].host);
    workspace.set("REGISTRY_USER", USER);
    workspace.set("REGISTRY_PASSWORD", PASSWORD);
    workspace.set("REGISTRY_NAMESPACE", "your-namespace");
    let fixture = &pair.fixture;
    let cuda = fixture
        .publish("nvidia/cuda:12.4.1-devel-ubuntu22.04", &BOTH)
        .await;
    let core = "ghcr.io/openrailassociation/osrd-edge/osrd-core:dev";
    let core_digest = fixture.publish(core, &["linux/amd64"]).await;
    let redis = fixture.publish("redis", &BOTH).await;
    fixture.write("images.yaml", &format!("{LIST}\n{core}\nredis\n"));
    fixture
        .sync(&["images.yaml", "--succeeded", "succeeded.log"])
        .await
        .expect(0, &["sync: 3 of 3 in place"]);
    let to = |name: &str| format!("{BEIJING}/your-namespace/{name}");
    assert_eq!(fixture.digest(&to("cuda:12.4.1-devel-ubuntu22.04")), cuda);
    assert_eq!(fixture.digest(&to("osrd-core:dev")), core_digest);
    assert_eq!(fixture.digest(&to("redis:latest")), redis);
    let succeeded = fixture.read("succeeded.log");
    let names = [
        "cuda:12.4.1-devel-ubuntu22.04",
        "osrd-core:dev",
        "redis:latest",
    ];
    assert_eq!(succeeded.lines().collect::<Vec<_>>(), names.map(to));
}
