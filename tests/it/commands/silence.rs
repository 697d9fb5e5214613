use sandbox::Fault;
use serde_json::json;

use super::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_reads_and_writes_fail_with_different_codes() {
    let mut scene = Scene::logged_in().await;
    for method in ["account.setPrivacy", "account.getAuthorizations"] {
        scene.world.sandbox.inject(Fault::no_answer().method(method));
    }
    let nobody = json!({"setting": "show_bio", "mode": "nobody"});
    scene.mine.send(1, "set_privacy_setting", nobody, None).await;
    scene.send_low("get_active_sessions", json!({})).await;
    scene.sent += 1;
    let read = &scene.payloads("get_active_sessions_error", 1).await[0];
    assert_eq!(read["error"], "TDLib did not answer in time");
    let info = json!({"code": "timeout", "source": "transport", "retriable": true});
    assert_eq!(read["error_info"], info);
    let write = &scene.payloads("set_privacy_setting_error", 1).await[0];
    assert_eq!(write["error"], "outcome unknown: TDLib did not answer in time");
    let info = json!({"code": "outcome_unknown", "source": "transport", "retriable": false});
    assert_eq!(write["error_info"], info);
    scene.end().await;
}
