//! Facts about the graph, each in a few lines over targets named a, b, c.

use std::sync::Mutex;

use super::*;
use crate::exit::{Exit, bad_input};

struct Silent;

impl Listener for Silent {
    fn on_event(&self, _: Event<'_>) {}
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.target.as_str()).collect()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn plan(targets: Vec<Target<'_>>, requested: &[&str]) -> anyhow::Result<Plan> {
    Graph::new(targets)?.plan(&strings(requested), &[])
}

async fn run(targets: Vec<Target<'_>>, requested: &[&str], skip: &[&str]) -> Summary {
    let graph = Graph::new(targets).unwrap();
    let plan = graph.plan(&strings(requested), &strings(skip)).unwrap();
    graph.run(&plan, &Silent, std::future::pending()).await
}

fn statuses(summary: &Summary) -> Vec<(&str, Status)> {
    summary
        .rows
        .iter()
        .map(|row| (row.target.as_str(), row.status))
        .collect()
}

fn target<'a>(name: &str) -> Target<'a> {
    Target::new(name, "").does(|_| async { Ok(TargetResult::Done(String::new())) })
}

fn failing<'a>(name: &str) -> Target<'a> {
    Target::new(name, "").does(|_| async { anyhow::bail!("broken") })
}

#[test]
fn depends_on_pulls_in_and_orders() {
    let targets = vec![target("a").depends_on(["b"]), target("b"), target("c")];
    assert_eq!(names(&plan(targets, &["a"]).unwrap()), ["b", "a"]);
}

#[test]
fn after_orders_without_pulling_in() {
    let targets = || vec![target("a").after(["b"]), target("b")];
    assert_eq!(names(&plan(targets(), &["a"]).unwrap()), ["a"]);
    assert_eq!(names(&plan(targets(), &["a", "b"]).unwrap()), ["b", "a"]);
}

#[test]
fn a_cycle_names_its_loop() {
    let targets = vec![
        target("c").depends_on(["a"]),
        target("a").depends_on(["b"]),
        target("b").after(["a"]),
    ];
    let error = Graph::new(targets).err().unwrap();
    assert_eq!(error.to_string(), "the targets form a cycle: a -> b -> a");
}

#[test]
fn nuke_spellings_are_accepted() {
    for name in [
        "DockerPushAll",
        "docker-push-all",
        "dockerpushall",
        "DOCKER_PUSH_ALL",
    ] {
        assert_eq!(
            names(&plan(vec![target("docker-push-all")], &[name]).unwrap()),
            ["docker-push-all"]
        );
    }
}

#[test]
fn an_unknown_name_gets_a_suggestion() {
    let error = plan(vec![target("release"), target("download")], &["relaese"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown target `relaese`\nhint: did you mean `release`?"
    );
    assert_eq!(crate::exit::code(&error), Exit::Usage);
    let error = plan(vec![target("release"), target("download")], &["xyzzy"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown target `xyzzy`\nhint: the targets are release, download"
    );
}

#[test]
fn an_unknown_skip_is_an_error() {
    let graph = Graph::new(vec![target("release")]).unwrap();
    assert!(
        graph
            .plan(&strings(&["release"]), &strings(&["nosuch"]))
            .is_err()
    );
}

#[test]
fn all_unmet_requirements_are_found_but_not_those_of_skipped_targets() {
    let targets = vec![
        target("a")
            .requires("first", || false)
            .depends_on(["b", "c"]),
        target("b").requires("second", || false),
        target("c").requires("third", || false),
    ];
    let graph = Graph::new(targets).unwrap();
    let plan = graph.plan(&strings(&["a"]), &strings(&["c"])).unwrap();
    assert_eq!(graph.unmet(&plan), ["second", "first"]);
}

#[tokio::test]
async fn a_failure_keeps_dependents_from_running() {
    let targets = vec![
        failing("a"),
        target("b").depends_on(["a"]),
        target("c").depends_on(["b"]),
        target("d"),
    ];
    let summary = run(targets, &["c", "d"], &[]).await;
    let expected = [
        ("a", Status::Failed),
        ("b", Status::NotRun),
        ("c", Status::NotRun),
        ("d", Status::Succeeded),
    ];
    assert_eq!(statuses(&summary), expected);
    assert_eq!(summary.rows[1].note, "`a` failed");
    assert_eq!(summary.exit(), Exit::Failed);
}

#[tokio::test]
async fn proceed_after_failure_lets_dependents_run_and_the_run_is_partial() {
    let targets = vec![
        failing("a").proceed_after_failure(),
        target("b").proceed_after_failure(),
        target("c").depends_on(["a", "b"]),
    ];
    let summary = run(targets, &["c"], &[]).await;
    let expected = [
        ("a", Status::Failed),
        ("b", Status::Succeeded),
        ("c", Status::Succeeded),
    ];
    assert_eq!(statuses(&summary), expected);
    assert_eq!(summary.exit(), Exit::Partial);
}

#[tokio::test]
async fn a_group_that_lacks_something_is_partial_and_so_is_the_group_around_it() {
    let targets = vec![
        failing("a").proceed_after_failure(),
        target("b").proceed_after_failure(),
        target("c"),
        Target::new("all", "").groups(["a", "b"]),
        Target::new("release", "").groups(["all", "c"]),
    ];
    let summary = run(targets, &["release"], &[]).await;
    let groups = summary
        .rows
        .iter()
        .filter(|row| row.status == Status::Partial);
    let groups: Vec<_> = groups.map(|row| (&*row.target, &*row.note)).collect();
    assert_eq!(groups, [("all", "without `a`"), ("release", "without `a`")]);
    assert_eq!(summary.exit(), Exit::Partial);
}

#[tokio::test]
async fn a_group_of_which_nothing_succeeded_did_not_run() {
    let targets = vec![
        failing("a").proceed_after_failure(),
        failing("b").proceed_after_failure(),
        Target::new("all", "").groups(["a", "b"]),
        Target::new("release", "").groups(["all"]),
    ];
    let summary = run(targets, &["release"], &[]).await;
    let group = &summary.rows[2];
    assert_eq!(
        (group.status, &*group.note),
        (Status::NotRun, "`a`, `b` failed")
    );
    assert_eq!(summary.rows[3].status, Status::NotRun);
    assert_eq!(summary.exit(), Exit::Failed);
}

#[tokio::test]
async fn a_lone_failure_is_not_partial() {
    let targets = vec![
        target("b"),
        failing("a").depends_on(["b"]).proceed_after_failure(),
    ];
    assert_eq!(run(targets, &["a"], &[]).await.exit(), Exit::Failed);
}

#[tokio::test]
async fn bad_input_has_its_own_exit_code() {
    let targets = vec![Target::new("a", "").does(|_| async { Err(bad_input("wrong")) })];
    assert_eq!(run(targets, &["a"], &[]).await.exit(), Exit::Usage);
}

#[tokio::test]
async fn conditions_skip_with_their_sentence_and_dependents_run() {
    let targets = vec![
        target("a").only_when("it rains", || false),
        target("b").depends_on(["a"]),
    ];
    let summary = run(targets, &["b"], &[]).await;
    assert_eq!(
        statuses(&summary),
        [("a", Status::Skipped), ("b", Status::Succeeded)]
    );
    assert_eq!(summary.rows[0].note, "it rains");
    assert_eq!(summary.exit(), Exit::Done);
}

#[tokio::test]
async fn a_skipped_target_does_nothing_and_dependents_run() {
    let summary = run(
        vec![failing("a"), target("b").depends_on(["a"])],
        &["b"],
        &["A"],
    )
    .await;
    assert_eq!(
        statuses(&summary),
        [("a", Status::Skipped), ("b", Status::Succeeded)]
    );
}

#[tokio::test]
async fn to_skip_a_group_is_to_skip_what_it_groups() {
    let targets = vec![
        target("a"),
        target("b").depends_on(["a"]),
        Target::new("c", "").groups(["b"]),
        target("d").depends_on(["c"]),
    ];
    let summary = run(targets, &["d"], &["c"]).await;
    let expected = [
        ("a", Status::Succeeded),
        ("b", Status::Skipped),
        ("c", Status::Skipped),
        ("d", Status::Succeeded),
    ];
    assert_eq!(statuses(&summary), expected);
}

#[tokio::test]
async fn a_group_names_its_targets_that_failed() {
    let targets = vec![
        failing("a").proceed_after_failure(),
        target("b"),
        Target::new("c", "").groups(["a", "b"]),
    ];
    let summary = run(targets, &["c"], &[]).await;
    assert_eq!(summary.rows[2].note, "without `a`");
}

#[tokio::test]
async fn nothing_starts_after_a_cancel() {
    let graph = Graph::new(vec![target("a")]).unwrap();
    let plan = graph.plan(&strings(&["a"]), &[]).unwrap();
    let summary = graph.run(&plan, &Silent, std::future::ready(())).await;
    assert_eq!(statuses(&summary), [("a", Status::NotRun)]);
    assert_eq!(summary.exit(), Exit::Interrupted);
}

#[tokio::test]
async fn independent_targets_run_at_the_same_time() {
    // Each of the two waits for the other: one at a time would never end.
    let barrier = tokio::sync::Barrier::new(2);
    let meet = |name: &str| {
        let barrier = &barrier;
        Target::new(name, "").does(move |_| async move {
            barrier.wait().await;
            Ok(TargetResult::Done(String::new()))
        })
    };
    let summary = run(vec![meet("a"), meet("b")], &["a", "b"], &[]).await;
    assert_eq!(summary.exit(), Exit::Done);
}

#[tokio::test]
async fn a_cancel_aborts_what_runs_and_keeps_the_rest_from_starting() {
    let (started, has_started) = tokio::sync::oneshot::channel::<()>();
    let stuck = Target::new("a", "").does(|_| async {
        let _ = started.send(());
        std::future::pending().await
    });
    let graph = Graph::new(vec![stuck, target("b").depends_on(["a"])]).unwrap();
    let plan = graph.plan(&strings(&["b"]), &[]).unwrap();
    let cancel = async {
        let _ = has_started.await;
    };
    let summary = graph.run(&plan, &Silent, cancel).await;
    assert_eq!(
        statuses(&summary),
        [("a", Status::Aborted), ("b", Status::NotRun)]
    );
    assert_eq!(summary.exit(), Exit::Interrupted);
}

#[tokio::test]
async fn every_line_of_an_action_has_its_targets_name() {
    #[derive(Default)]
    struct Recording(Mutex<Vec<String>>);
    impl Listener for Recording {
        fn on_event(&self, event: Event<'_>) {
            if let Event::Line { target, text, .. } = event {
                self.0.lock().unwrap().push(format!("{target}: {text}"));
            }
        }
    }
    let recording = Recording::default();
    let chatty = Target::new("a", "").does(|context| async move {
        context.note("hello");
        Ok(TargetResult::Done(String::new()))
    });
    let graph = Graph::new(vec![chatty]).unwrap();
    let plan = graph.plan(&strings(&["a"]), &[]).unwrap();
    graph.run(&plan, &recording, std::future::pending()).await;
    assert_eq!(*recording.0.lock().unwrap(), ["a: hello"]);
}

#[test]
fn a_plan_is_drawn_with_dotted_arrows_for_order_only() {
    let targets = vec![
        target("a"),
        target("b"),
        target("c").depends_on(["a"]).after(["b"]),
    ];
    let plan = plan(targets, &["b", "c"]).unwrap();
    assert_eq!(
        plan.to_mermaid(),
        "graph LR\n    a[a]\n    b[b]\n    c[c]\n    a --> c\n    b -.-> c\n"
    );
    assert!(plan.to_text().contains("[after a, b]"));
    assert!(plan.to_json().contains("\"waits_for\""));
}
