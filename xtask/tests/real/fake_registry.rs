//! The fake registry is registry enough for clients that nobody here wrote: the engine and skopeo.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};

use crate::servers::engine_image::{EngineImage, engine, skopeo};
use crate::servers::release_fixture::{ARCHITECTURE, docker};

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_and_skopeo_push_to_it_and_pull_from_it() {
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let id = |name: &str| docker(&["image", "inspect", "--format", "{{.Id}}", name]);
    let built = id(&sample.name);
    for auth in [AuthMode::Open, AuthMode::Basic, AuthMode::Tokens] {
        let registry = FakeRegistry::start(Behavior {
            auth,
            checks_children: true,
            ..Behavior::default()
        })
        .await;
        let name = |repository: &str| format!("{}/{repository}:1", registry.host);
        let (pushed, copied) = (name("ns/pushed"), name("ns/copied"));

        let config = tempfile::tempdir().unwrap();
        let config = ["--config", config.path().to_str().unwrap()];
        let signed_in = |arguments: &[&str]| docker(&[&config, arguments].concat());
        if auth != AuthMode::Open {
            let login = ["login", "-u", USER, "-p", PASSWORD, &registry.host];
            signed_in(&login);
        }
        docker(&["tag", &sample.name, &pushed]);
        signed_in(&["push", &pushed]);

        let login = format!("{USER}:{PASSWORD}");
        let from = ["--src-tls-verify=false", "--src-creds", &login];
        let to = ["--dest-tls-verify=false", "--dest-creds", &login];
        let images = [&pushed, &copied].map(|image| format!("docker://{image}"));
        skopeo(&[&from[..], &to, &images.each_ref().map(String::as_str)].concat());
        assert_eq!(registry.tags().len(), 1, "both tags name the same digest");

        // Nothing is left of it in the engine, so that it is really pulled.
        docker(&["image", "rm", &pushed, &sample.name]);
        signed_in(&["pull", &copied]);
        assert_eq!(id(&copied), built);
        docker(&["tag", &copied, &sample.name]);
        docker(&["image", "rm", &copied]);
    }
}
