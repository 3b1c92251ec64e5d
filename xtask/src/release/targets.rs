//! The whole graph, on one screen.

use super::{build, download, github_release, push, world::World};
use crate::graph::{Target, same_name};
use crate::settings::Login;

/// Every target of a release. `requested` are the names on the command line; `strict` makes a registry without
/// credentials an error also where it was not asked for by name.
pub fn targets<'a>(world: &'a World<'a>, requested: &[String], strict: bool) -> Vec<Target<'a>> {
    let pushes: Vec<String> = world
        .plan
        .pushes
        .iter()
        .map(|push| push.target.clone())
        .collect();
    let named = |target: &str| requested.iter().any(|name| same_name(name, target));

    let given = world.plan.transport.skip();
    let made = |target: Target<'a>| match &given {
        Some(reason) => target.only_when(reason, || false),
        None => target,
    };
    let mut targets: Vec<Target<'a>> = [
        Target::new("download", "fetch and verify the packages of the version")
            .does(move |context| async move { download::download(world, &context).await }),
        Target::new("extract", "unpack them into the build context")
            .depends_on(["download"])
            .does(move |_| build::extract(world)),
        Target::new("docker-build", "build one image for each platform")
            .depends_on(["extract"])
            .does(move |context| async move { build::build(world, &context).await }),
    ]
    .into_iter()
    .map(made)
    .collect();
    for plan in &world.plan.pushes {
        let target = Target::new(&plan.target, "push to the registry")
            .depends_on(["docker-build"])
            .proceed_after_failure()
            .does(move |context| async move { push::target(world, plan, &context).await });
        let login = &world.registry(&plan.registry).login;
        let is_ready = matches!(login, Login::Ready { .. });
        targets.push(match login {
            Login::Missing(variables) if named(&plan.target) || strict => target.requires(
                format!("`{}`: {}", plan.target, variables.missing()),
                move || is_ready,
            ),
            Login::Missing(variables) => target.only_when(variables.missing(), move || is_ready),
            _ => target,
        });
    }
    targets.push(
        Target::new("docker-push-all", "push to every registry").depends_on(pushes.clone()).requires(
            "no registry has credentials\nhint: set the user and password of at least one; see `.env.example`",
            || world.settings.registries.iter().any(|registry| !matches!(registry.login, Login::Missing(_))),
        ),
    );
    targets.push(
        Target::new("github-release", "make the GitHub release")
            .depends_on(["download"])
            .after(pushes)
            .requires("`github-release`: `GITHUB_TOKEN` is not set", || {
                world.settings.github.token.is_some()
            })
            .does(move |context| async move { github_release::release(world, &context).await }),
    );
    targets.push(
        Target::new("release", "everything").depends_on(["docker-push-all", "github-release"]),
    );
    targets
}
