//! The whole graph, on one screen.

use anyhow::bail;

use super::clients::{Clients, RegistryClient};
use super::logins::NO_CREDENTIALS;
use super::plan::{PushPlan, ReleasePlan};
use super::push::Pushes;
use super::run_state::RunState;
use super::{build, download, github_release};
use crate::graph::{self, Target};
use crate::settings::ReleaseSettings;

/// Every target of a release with its edges, which is all that planning needs.
pub fn outline<'a>(plan: &ReleasePlan) -> Vec<Target<'a>> {
    let pushes: Vec<&str> = plan.pushes.iter().map(|push| &*push.target).collect();
    let mut targets = vec![
        Target::new("download", "fetch and verify the packages of the version"),
        Target::new("extract", "unpack them into the build context").depends_on(["download"]),
        Target::new("docker-build", "build one image for each platform").depends_on(["extract"]),
    ];
    targets.extend(pushes.iter().map(|&push| {
        Target::new(push, "push to the registry")
            .depends_on(["docker-build"])
            .proceed_after_failure()
    }));
    targets.extend([
        Target::new("docker-push-all", "push to every registry").groups(pushes.clone()),
        Target::new("github-release", "make the GitHub release")
            .depends_on(["download"])
            .after(pushes),
        Target::new("release", "everything").groups(["docker-push-all", "github-release"]),
    ]);
    targets
}

/// The same with conditions and actions. `steps` are those of this run; `strict` makes a registry without credentials
/// an error also where it was not asked for by name.
pub fn targets<'a>(
    settings: &'a ReleaseSettings,
    plan: &'a ReleasePlan,
    clients: &'a Clients<'a>,
    state: &'a RunState,
    pushes: &'a Pushes<'a>,
    steps: &graph::Plan,
    strict: bool,
) -> Vec<Target<'a>> {
    let named = |target: &str| {
        let mut steps = steps.steps.iter();
        steps.any(|step| step.requested && step.target == target)
    };
    let given = plan.transport.skip();
    // The packages of a version that is copied are assets of its release nevertheless.
    let is_copied = plan.transport.held().is_some();
    let mut scheduled = steps.steps.iter().filter(|step| !step.skipped);
    let needs_packages = is_copied && scheduled.any(|step| step.target == "github-release");
    let stays_zipped = plan.stays_zipped(steps);
    let made = |target: Target<'a>| match &given {
        Some(_) if needs_packages && target.name() == "download" => target,
        Some(reason) => target.only_when(reason, || false),
        None => target,
    };
    let push = |target: Target<'a>, push: &'a PushPlan| {
        let target = target.does(move |context| async move { pushes.target(push, &context).await });
        match &clients.registries.get(&push.registry).login {
            Ok(_) => target,
            Err(why) if why.is_helper_failure() => {
                target.does(move |_| async move { bail!("{why}") })
            }
            Err(why) if named(&push.target) || strict => {
                target.requires(push.no_login(why), || false)
            }
            Err(why) => target.only_when(why.to_string(), || false),
        }
    };
    let complete = |target: Target<'a>| match target.name() {
        "download" => made(target)
            .does(move |context| async move { download::download(settings, plan, &context).await }),
        "extract" => made(target).does(move |_| build::extract(plan, stays_zipped)),
        "docker-build" => made(target).does(move |context| async move {
            let docker = settings.root.join("docker");
            build::build(docker, plan, clients, state, pushes, &context).await
        }),
        "docker-push-all" => target.requires(NO_CREDENTIALS, || {
            let may_sign_in = |it: &RegistryClient<'_>| match &it.login {
                Ok(_) => true,
                Err(why) => why.is_helper_failure(),
            };
            clients.registries.iter().any(may_sign_in)
        }),
        "github-release" => target
            .requires("`github-release`: `GITHUB_TOKEN` is not set", || {
                settings.github.token.is_some()
            })
            .does(move |context| async move {
                github_release::release(settings, plan, clients, state, pushes, &context).await
            }),
        name => match plan.pushes.iter().find(|push| push.target == name) {
            Some(plan) => push(target, plan),
            None => target,
        },
    };
    outline(plan).into_iter().map(complete).collect()
}
