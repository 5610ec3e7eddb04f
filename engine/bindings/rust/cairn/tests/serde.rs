// SPDX-License-Identifier: Apache-2.0
#![cfg(feature = "serde")]

use cairn::{Index, Match, Metric, Params, ScalarKind, Stats, VerifyReport};

#[test]
fn params_results_and_reports_survive_json() {
    let params = Params::new(3).metric(Metric::InnerProduct).scalar(ScalarKind::Bf16);
    let text = serde_json::to_string(&params).unwrap();
    assert!(text.contains(r#""metric":"inner_product","scalar":"bf16""#), "{text}");
    assert_eq!(serde_json::from_str::<Params>(&text).unwrap(), params);

    let index = Index::create(&params).unwrap();
    index.add(1, &[1.0f32, 2.0, 3.0]).unwrap();
    let hits = index.search(&[1.0f32, 0.0, 0.0], 1).unwrap();
    let text = serde_json::to_string(&hits).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Match>>(&text).unwrap(), hits);
    let stats = index.stats().unwrap();
    let text = serde_json::to_string(&stats).unwrap();
    assert_eq!(serde_json::from_str::<Stats>(&text).unwrap(), stats);
    let report = index.verify().unwrap();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<VerifyReport>(&text).unwrap(), report);
}
