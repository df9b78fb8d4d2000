//! How the units of a region are cut into parts, one ticket a part.

use std::ops::Range;

/// Parts of a stage for each thread: more than one, so that a thread which comes late or is put aside leaves less to wait for, but
/// few, because every part begins a stream of memory anew.
const TURNS: usize = 2;

/// The most parts for each thread, where a stage is long.
const MOST_TURNS: usize = 5;

/// A thread has another part as long as its last one has that many times the work that is worth a ticket.
const LAST_PART: f32 = 25.0;

/// How regions are cut for so many threads.
pub(super) struct Cut {
    threads: usize,
    /// Nanoseconds of work that are worth a ticket.
    part_work: f32,
}

impl Cut {
    /// For so many threads, at least one, and parts that have `part_work` nanoseconds of work at least.
    pub(super) fn new(threads: usize, part_work: u32) -> Cut {
        Cut {
            threads,
            part_work: part_work as f32,
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Into how many parts so many units are cut: as many for each thread where that pays.
    pub(super) fn parts(&self, units: usize, unit_work: f32) -> usize {
        let work = units as f32 * unit_work;
        let worth = (work / self.part_work) as usize;
        if worth.min(units) < self.threads * TURNS {
            return worth.min(units).min(self.threads);
        }
        let share = (units / self.threads) as f32;
        let shrinks = |turns: &usize| {
            let last = share / (1 << turns) as f32;
            last >= 1.0 && last * unit_work >= LAST_PART * self.part_work
        };
        self.threads
            * (TURNS..MOST_TURNS)
                .find(|it| !shrinks(it))
                .unwrap_or(MOST_TURNS)
    }

    /// The units that a ticket stands for. Threads that take turns read on where they were, and each turn has half of what is left, so that
    /// none waits long for one that is slower or came late.
    pub(super) fn range(&self, units: usize, part: usize, parts: usize) -> Range<usize> {
        let (turns, turn, sharers) = if parts > self.threads {
            (parts / self.threads, part / self.threads, self.threads)
        } else {
            (1, 0, parts)
        };
        let sharer = part % sharers;
        let share = units * sharer / sharers..units * (sharer + 1) / sharers;
        let begin = |turn: usize| share.end - if turn < turns { share.len() >> turn } else { 0 };
        begin(turn)..begin(turn + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_stand_for_every_unit_once_and_a_thread_reads_on() {
        for (threads, units) in (1..6).flat_map(|threads| [1, 7, 36, 401].map(|it| (threads, it))) {
            for unit_work in [0.0, 60.0, 3e3, 1e6] {
                let cut = Cut::new(threads, 100);
                let parts = cut.parts(units, unit_work).max(1);
                let ranges: Vec<Range<usize>> = (0..parts)
                    .map(|part| cut.range(units, part, parts))
                    .collect();
                let mut all: Vec<usize> = ranges.iter().cloned().flatten().collect();
                all.sort_unstable();
                assert_eq!(all, Vec::from_iter(0..units));
                for (part, it) in ranges.iter().enumerate().skip(threads) {
                    assert_eq!(it.start, ranges[part - threads].end);
                    assert!(!it.is_empty() && it.len() <= ranges[part - threads].len() + 1);
                }
            }
        }
    }
}
