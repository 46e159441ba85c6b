use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use tokio::sync::mpsc;

use super::*;
use crate::engine::model::ContainerState;

/// An engine that counts what it is asked, and tells what a test tells it.
struct Counting {
    asked: AtomicUsize,
    changes: Mutex<Vec<mpsc::UnboundedReceiver<Change>>>,
}

impl Counting {
    fn count(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ReadEngine for Counting {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        unreachable!()
    }

    async fn api_version(&self) -> Result<ApiVersion, EngineError> {
        unreachable!()
    }

    async fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        unreachable!()
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        self.count();
        Ok((id != "gone").then(|| Container {
            id: id.to_owned(),
            name: String::new(),
            image_id: String::new(),
            spec: Arc::default(),
            state: ContainerState::Running,
            health: None,
            pid: None,
            restart_count: 0,
            started_at: String::new(),
            oom_killed: false,
            ended_by_itself: false,
            addresses: BTreeMap::new(),
        }))
    }

    async fn image(&self, _: &str) -> Result<Option<Image>, EngineError> {
        self.count();
        Ok(Some(Image::default()))
    }

    async fn logs(&self, _: &str, _: LogWish) -> Result<Logs, EngineError> {
        unreachable!()
    }

    async fn registry_digest(&self, _: &str) -> Result<String, EngineError> {
        unreachable!()
    }

    async fn output(&self, _: &str, _: usize) -> Result<String, EngineError> {
        unreachable!()
    }

    async fn read_file(&self, _: &str, _: &str, _: usize) -> Result<Option<Vec<u8>>, EngineError> {
        unreachable!()
    }

    async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        self.count();
        Ok(Vec::new())
    }

    async fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        self.count();
        Ok(Vec::new())
    }

    async fn changes(&self) -> Result<Changes, EngineError> {
        let next = self.changes.lock().unwrap().pop();
        let Some(receiver) = next else {
            return Ok(Box::pin(stream::pending()));
        };
        Ok(Box::pin(stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        })))
    }
}

struct Story {
    cached: Cached,
    engine: Arc<Counting>,
    tell: mpsc::UnboundedSender<Change>,
    /// How often a look was asked for.
    rung: Arc<AtomicUsize>,
}

impl Story {
    async fn begin() -> Self {
        let (tell, receiver) = mpsc::unbounded_channel();
        let engine = Arc::new(Counting {
            asked: AtomicUsize::new(0),
            changes: Mutex::new(vec![receiver]),
        });
        let rung = Arc::new(AtomicUsize::new(0));
        let rings = Arc::clone(&rung);
        let on_drift = move |_: Option<&Origin>| {
            rings.fetch_add(1, Ordering::SeqCst);
        };
        let cached = Cached::follow(Arc::clone(&engine) as Arc<dyn ReadEngine>, on_drift);
        settle().await;
        Self {
            cached,
            engine,
            tell,
            rung,
        }
    }

    /// Asks for everything, and returns how often the engine was asked.
    async fn look(&self) -> usize {
        let before = self.engine.asked.load(Ordering::SeqCst);
        for id in ["a", "b", "gone"] {
            self.cached.container(id).await.unwrap();
        }
        self.cached.image("app:v1").await.unwrap();
        self.cached.networks().await.unwrap();
        self.cached.volumes().await.unwrap();
        self.engine.asked.load(Ordering::SeqCst) - before
    }
}

/// Lets the follower take in what was told.
async fn settle() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_asked_for_once() {
    let story = Story::begin().await;
    assert_eq!(story.look().await, 6);
    // What is not there may come without our being told by its name.
    assert_eq!(story.look().await, 1);
    for (change, asked) in [
        (Change::Container("a".to_owned()), 2),
        (Change::Image, 2),
        (Change::Volume, 2),
        (Change::Network { container: None }, 2),
        (
            Change::Network {
                container: Some("b".to_owned()),
            },
            3,
        ),
    ] {
        story.tell.send(change.clone()).unwrap();
        settle().await;
        assert_eq!(story.look().await, asked, "{change:?}");
        assert_eq!(story.look().await, 1, "{change:?}");
    }
    story.cached.forget();
    assert_eq!(story.look().await, 6);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_believed_for_ever() {
    let story = Story::begin().await;
    story.look().await;
    tokio::time::sleep(BELIEVED + Duration::from_secs(1)).await;
    assert_eq!(story.look().await, 6);
    assert_eq!(story.look().await, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_while_the_engine_does_not_tell() {
    let mut story = Story::begin().await;
    story.tell = mpsc::unbounded_channel().0;
    settle().await;
    assert_eq!(story.look().await, 6);
    assert_eq!(story.look().await, 6);
    assert_eq!(story.rung.load(Ordering::SeqCst), 0);
    // It follows again after a pause, and what was missed meanwhile may be drift.
    tokio::time::sleep(PAUSE * 2).await;
    assert_eq!(story.rung.load(Ordering::SeqCst), 1);
    assert_eq!(story.look().await, 6);
    assert_eq!(story.look().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_look_is_asked_for_at_drift_alone() {
    let story = Story::begin().await;
    let drift = Origin::Project("shop".to_owned());
    for change in [
        Change::Container("a".to_owned()),
        Change::Network { container: None },
        Change::Volume,
        Change::Image,
    ] {
        story.tell.send(change).unwrap();
    }
    settle().await;
    assert_eq!(story.rung.load(Ordering::SeqCst), 0);
    story.tell.send(Change::Drift(drift.clone())).unwrap();
    settle().await;
    assert_eq!(story.rung.load(Ordering::SeqCst), 1);
    assert_eq!(story.look().await, 6);
    story.tell.send(Change::Drift(drift.clone())).unwrap();
    settle().await;
    assert_eq!(story.look().await, 1, "drift by itself is no change");
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_change_is_not_kept() {
    let story = Story::begin().await;
    let get = |kept: &Kept| kept.networks.clone();
    let ask = async {
        lock(&story.cached.kept).take_in(&Change::Network { container: None });
        Ok(Vec::new())
    };
    let keep = |kept: &mut Kept, answer: &Vec<Network>| kept.networks = Some(answer.clone());
    story.cached.kept(get, ask, keep).await.unwrap();
    assert!(lock(&story.cached.kept).networks.is_none());
}
