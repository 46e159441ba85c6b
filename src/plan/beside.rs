//! Plans how a blue-green service changes over: the new container is started beside the old one,
//! the proxy is moved, the old one's connections end, and it goes.
//!
//! A kill leaves two containers, and nobody but the proxy knows which of them visitors are with.
//! So neither goes before the proxy is known to be with the other.

use super::action::{Action, ContainerRef, Draining, Phase, RemoveReason, Retreat};
use super::diff::{Reason, Remedy};
use super::examined::{Examined, Turn};
use super::field::Field;
use super::guard::All;
use super::order::Planner;
use super::services::{Input, reference};
use super::slot::Slot;
use crate::engine::model::{Container, ContainerState};
use crate::labels;

impl<'a> Input<'a> {
    /// Finds out how a blue-green service changes over.
    pub(super) fn take_turns(&self, one: &mut Examined<'a>) {
        if one.service.blue_green().is_none() {
            return;
        }
        let Some(holder) = one.holder else {
            one.half_made.extend(one.beside.take().map(reference));
            return;
        };
        // A restart would be a gap, and so would a moment outside of a network.
        let leaves =
            |reason: &Reason| matches!(reason.field, Field::Network(_)) && reason.live.is_some();
        let gap = match one.remedy {
            Some(Remedy::Restart) => true,
            Some(Remedy::Reconnect) => one.reasons.iter().any(leaves),
            Some(
                Remedy::Reload | Remedy::Rename | Remedy::Start | Remedy::Replace | Remedy::Create,
            )
            | None => false,
        };
        if gap {
            one.remedy = Some(Remedy::Replace);
        }
        let next = Slot::beside(Slot::of(holder));
        one.turn = match (one.remedy == Some(Remedy::Replace), one.beside) {
            (true, None) => Some(Turn::Begins(next)),
            (true, Some(beside)) if self.is_wanted(beside, one) => Some(Turn::GoesOn(next)),
            (true, Some(_)) => Some(Turn::BeginsAgain(next)),
            (false, Some(_)) => Some(Turn::Returns(Slot::of(holder))),
            (false, None) => None,
        };
    }

    /// Returns whether a container was made from what Git says, at this very commit, and runs.
    fn is_wanted(&self, beside: &Container, one: &Examined<'a>) -> bool {
        let label = |name: &str| beside.spec.labels.get(name).map_or("", String::as_str);
        let image = self.image(one.service);
        let commit = format!("-{}", self.desired.commit.revision.short());
        beside.state == ContainerState::Running
            && Slot::of(beside) == Some(Slot::beside(one.slot()))
            && label(labels::RELEASE).ends_with(&commit)
            && label(labels::DIGEST) == self.digest(one.service)
            && image.is_none_or(|image| image.id == beside.image_id)
    }
}

impl<'a> Planner<'a> {
    /// Plans the start of the container that takes over, or of the one that stays.
    pub(super) fn change_over(&mut self, one: &Examined<'a>, turn: Turn, all: &All<'a>) {
        let mut after = self.ground.clone();
        let there = match turn {
            Turn::Begins(_) => {
                self.leftovers(one, &mut after);
                None
            }
            Turn::GoesOn(_) => one.beside.map(reference),
            Turn::BeginsAgain(_) => {
                self.retreat(Phase::Converge, one, &mut after);
                None
            }
            Turn::Returns(_) => return self.stay(one, after, all),
        };
        after.extend(self.dependencies(one, all));
        let after = self.make_way(one, after);
        let put_down = |holder: &&Container| is_put_down(holder, there.as_ref(), one);
        let goes_on = there.as_ref();
        let retreat = Retreat {
            stopped: one.holder.filter(put_down).map(reference),
            place: one.container_name.clone(),
            back: goes_on.and_then(|_| self.switch_back()),
            draining: self.draining(one),
        };
        let action = Action::StartBeside {
            service: one.name.clone(),
            name: one.name_until_then(),
            spec: Box::new(self.input.container_spec(one)),
            there,
            retreat: Box::new(retreat),
        };
        let step = self.push(Phase::Converge, action, &one.reasons, after);
        self.step_of.insert(one.name, step);
    }

    /// Plans the start of the serving container where a killed pass has stopped it.
    fn stay(&mut self, one: &Examined<'a>, after: Vec<u32>, all: &All<'a>) {
        let stopped = self.stopped.contains(one.name).then_some(Remedy::Start);
        let holder = one.holder.map(reference);
        if let Some(remedy) = one.remedy.max(stopped) {
            let mut after = after;
            after.extend(self.dependencies(one, all));
            if let Some(step) = self.act(one, remedy, holder, after) {
                self.step_of.insert(one.name, step);
            }
        }
    }

    /// Plans that the proxy goes back to the serving container, and then the end of the one that
    /// an interrupted pass has left beside it.
    pub(super) fn retreat(&mut self, phase: Phase, one: &Examined<'a>, after: &mut Vec<u32>) {
        let (Some(holder), Some(beside)) = (one.holder, one.beside) else {
            return;
        };
        if !self.retreated.insert(one.name) {
            return;
        }
        let service = one.name.clone();
        if holder.state != ContainerState::Running {
            let container = reference(holder);
            let action = Action::Start { service, container };
            *after = vec![self.push(phase, action, &[], after.clone())];
            *after = self.stands(phase, one, holder, after.clone());
        }
        if let Some(switch) = self.switch_back() {
            let action = Action::SwitchBack(Box::new(switch));
            *after = vec![self.push(phase, action, &[], after.clone())];
            if beside.state == ContainerState::Running {
                let left = reference(beside);
                *after = vec![self.drain(phase, one, left, after.clone())];
            }
        }
        *after = vec![self.end_beside(phase, one, beside, after.clone())];
        *after = self.name_back(phase, one, after.clone());
    }

    /// Plans the look at the serving container where it was started again.
    fn stands(
        &mut self,
        phase: Phase,
        one: &Examined<'a>,
        holder: &Container,
        after: Vec<u32>,
    ) -> Vec<u32> {
        let until = self.readiness(one);
        let action = Action::Await {
            service: one.name.clone(),
            container: holder.id.clone(),
            instead: None,
            until,
            within: self.patience(one, until),
        };
        vec![self.push(phase, action, &[], after)]
    }

    /// Plans what follows when the proxy has moved: the one that visitors have left goes.
    pub(super) fn hand_over(&mut self, all: &All<'a>) {
        let gates = self.ends();
        for one in all.values() {
            let (Some(turn), Some(holder)) = (one.turn, one.holder) else {
                continue;
            };
            match turn {
                Turn::Begins(_) | Turn::GoesOn(_) | Turn::BeginsAgain(_) => {
                    let back = one.rename_back && matches!(turn, Turn::BeginsAgain(_));
                    let mut old = reference(holder);
                    if back {
                        old.name.clone_from(&one.container_name);
                    }
                    let mut after = gates.clone();
                    // One that was begun again with has the visitors back by then.
                    let runs = holder.state == ContainerState::Running
                        || matches!(turn, Turn::BeginsAgain(_));
                    if runs && !self.stopped.contains(one.name) {
                        after = vec![self.drain(Phase::Switch, one, old.clone(), after)];
                    }
                    let action = Action::HandOver {
                        service: one.name.clone(),
                        old,
                        old_serves: !self.stopped.contains(one.name),
                        name: one.container_name.clone(),
                        beside: one.name_until_then(),
                    };
                    self.push(Phase::Switch, action, &[], after);
                }
                Turn::Returns(_) if self.retreated.contains(one.name) => {}
                Turn::Returns(_) => {
                    let Some(beside) = one.beside else { continue };
                    let mut after = gates.clone();
                    // Else visitors have never been with it.
                    if self.switches && beside.state == ContainerState::Running {
                        after = vec![self.drain(Phase::Switch, one, reference(beside), after)];
                    }
                    let gone = self.end_beside(Phase::Switch, one, beside, after);
                    self.name_back(Phase::Switch, one, vec![gone]);
                }
            }
        }
    }

    /// Plans the end of what an interrupted pass has started beside containers that stay, where
    /// nothing else is to be done: the proxy must be known not to send visitors there.
    pub(super) fn clear_beside(&mut self, all: &All<'a>) {
        let returns = |one: &Examined<'_>| matches!(one.turn, Some(Turn::Returns(_)));
        if self.switch_back().is_none() && all.values().any(returns) {
            self.hand_over(all);
        }
    }

    fn drain(
        &mut self,
        phase: Phase,
        one: &Examined<'a>,
        container: ContainerRef,
        after: Vec<u32>,
    ) -> u32 {
        let action = Action::Drain {
            service: one.name.clone(),
            container,
            draining: self.draining(one),
        };
        self.push(phase, action, &[], after)
    }

    fn draining(&self, one: &Examined<'a>) -> Draining {
        let front = self.input.desired.proxy.iter();
        let configs = front.flat_map(|front| front.configs.values());
        let upstreams = configs.flat_map(|config| &config.template.upstreams);
        let own = upstreams.filter(|upstream| upstream.service == *one.name);
        let how = one.service.blue_green();
        Draining {
            ports: own.map(|upstream| upstream.port).collect(),
            workers: self.front.as_ref().and_then(|front| self.workers(front)),
            within: how.map_or_else(Default::default, |how| how.drain),
        }
    }

    fn end_beside(
        &mut self,
        phase: Phase,
        one: &Examined<'a>,
        beside: &Container,
        after: Vec<u32>,
    ) -> u32 {
        debug_assert_eq!(one.beside.map(|known| &known.id), Some(&beside.id));
        let action = Action::Remove {
            container: reference(beside),
            why: RemoveReason::HalfMade,
        };
        self.push(phase, action, &[], after)
    }

    fn name_back(&mut self, phase: Phase, one: &Examined<'a>, after: Vec<u32>) -> Vec<u32> {
        let Some(holder) = one.holder.filter(|_| one.rename_back) else {
            return after;
        };
        let action = Action::Rename {
            container: reference(holder),
            name: one.container_name.clone(),
        };
        vec![self.push(phase, action, &[], after)]
    }
}

/// Returns whether an interrupted pass has put the old container down already.
fn is_put_down(holder: &Container, there: Option<&ContainerRef>, one: &Examined<'_>) -> bool {
    there.is_some() && (holder.state != ContainerState::Running || one.rename_back)
}
