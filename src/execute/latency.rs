//! Measures how fast checks are answered before anything changes.

use std::time::Duration;

use super::checks::measure;
use super::scene::Scene;
use crate::desired::checks::SmokeProbe;
use crate::plan::SmokeDraft;

/// Time for one of the requests.
const ONE_REQUEST: Duration = Duration::from_secs(5);

/// Measures how fast a check is answered, for the comparison after the deploy. A stack that does
/// not answer as it should has nothing to be compared with, and that is no reason not to deploy.
pub(super) async fn measure_before(
    draft: &SmokeDraft,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) {
    let (Some(latency), SmokeProbe::Http { url, answer }) =
        (&draft.smoke.latency, &draft.smoke.probe)
    else {
        return;
    };
    match measure(url, answer, latency.samples, ONE_REQUEST).await {
        Ok(median) => {
            scene.measured().insert(draft.index, median);
        }
        Err(error) => tell(format!("GET {url}: {error}; its latency is not compared")),
    }
}
