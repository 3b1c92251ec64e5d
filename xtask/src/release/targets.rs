//! The whole graph, on one screen.

use super::clients::{Clients, RegistryClient};
use super::plan::ReleasePlan;
use super::push::Pushes;
use super::run_state::RunState;
use super::{build, download, github_release};
use crate::graph::{Target, same_name};
use crate::settings::ReleaseSettings;

/// Every target of a release. `requested` are the names on the command line; `strict` makes a registry without
/// credentials an error also where it was not asked for by name.
pub fn targets<'a>(
    settings: &'a ReleaseSettings,
    plan: &'a ReleasePlan,
    clients: &'a Clients<'a>,
    state: &'a RunState,
    pushes: &'a Pushes<'a>,
    requested: &[String],
    strict: bool,
) -> Vec<Target<'a>> {
    let push_targets: Vec<&str> = plan.pushes.iter().map(|push| &*push.target).collect();
    let named = |target: &str| requested.iter().any(|name| same_name(name, target));

    let given = plan.transport.skip();
    let made = |target: Target<'a>| match &given {
        Some(reason) => target.only_when(reason, || false),
        None => target,
    };
    let mut targets: Vec<Target<'a>> = [
        Target::new("download", "fetch and verify the packages of the version")
            .does(move |context| async move { download::download(settings, plan, &context).await }),
        Target::new("extract", "unpack them into the build context")
            .depends_on(["download"])
            .does(move |_| build::extract(plan)),
        Target::new("docker-build", "build one image for each platform")
            .depends_on(["extract"])
            .does(move |context| async move {
                let docker = settings.root.join("docker");
                build::build(docker, plan, clients, &context).await
            }),
    ]
    .into_iter()
    .map(made)
    .collect();
    for push in &plan.pushes {
        let target = Target::new(&push.target, "push to the registry")
            .depends_on(["docker-build"])
            .proceed_after_failure()
            .does(move |context| async move { pushes.target(push, &context).await });
        targets.push(match &clients.registries.get(&push.registry).login {
            Ok(_) => target,
            Err(why) if named(&push.target) || strict => {
                target.requires(format!("`{}`: {why}", push.target), || false)
            }
            Err(why) => target.only_when(why.to_string(), || false),
        });
    }
    targets.push(
        Target::new("docker-push-all", "push to every registry").depends_on(push_targets.clone()).requires(
            "no registry has credentials\nhint: set the user and password of at least one, see `.env.example`, or use `docker login`",
            || clients.registries.iter().any(RegistryClient::is_signed_in),
        ),
    );
    targets.push(
        Target::new("github-release", "make the GitHub release")
            .depends_on(["download"])
            .after(push_targets)
            .requires("`github-release`: `GITHUB_TOKEN` is not set", move || {
                settings.github.token.is_some()
            })
            .does(move |context| async move {
                github_release::release(settings, plan, clients, state, pushes, &context).await
            }),
    );
    targets.push(
        Target::new("release", "everything").depends_on(["docker-push-all", "github-release"]),
    );
    targets
}
