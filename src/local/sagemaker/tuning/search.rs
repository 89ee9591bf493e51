//! The search: which hyperparameters the next training job gets, from the results of those before.
//!
//! The state is nothing but the seed and the history, so that the same seed and the same results give the same sequence.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tpe::TpeOptimizerBuilder;

use super::space::{Kind, Space};

/// So many results a Bayesian search draws at random before it trusts its model.
const STARTUP: usize = 10;
/// The share of the results that counts as good.
const GOOD: f64 = 0.15;
/// Draws for one candidate before what is left is counted through.
const DRAWS: usize = 50;

/// How candidates are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Tree-structured Parzen estimators. The interface is that of AWS's Bayesian strategy, the optimiser is not.
    Bayesian,
    Random,
    /// Every combination once.
    Grid,
}

/// What is known of a candidate that was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The texts in the order of the space.
    pub values: Vec<String>,
    /// Its objective; `None` while it is not known, and for good when its job failed.
    pub result: Option<f64>,
}

/// A search.
#[derive(Clone, Debug)]
pub struct Search {
    pub space: Space,
    pub strategy: Strategy,
    pub seed: u64,
    pub maximize: bool,
}

impl Search {
    /// The next candidate's texts in the order of the space; `None` when all combinations were tried. `earlier` comes from
    /// parents of a warm start and only teaches; `tried` is the job's own and is not repeated.
    #[must_use]
    pub fn candidate(&self, tried: &[Tried], earlier: &[Tried]) -> Option<Vec<String>> {
        if self.strategy == Strategy::Grid {
            return self.combination(tried.len() as u64);
        }
        let mut rng = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(tried.len() as u64));
        let results = tried.iter().chain(earlier).filter(|other| other.result.is_some()).count();
        let modelled = self.strategy == Strategy::Bayesian && results >= STARTUP;
        for draw in 0..DRAWS {
            // A model that insists on what was tried is not asked for ever.
            let values = if modelled && draw < DRAWS / 2 {
                self.promising(tried, earlier, &mut rng)
            } else {
                self.space.parameters.iter().map(|parameter| parameter.kind.value(rng.random())).collect()
            };
            if tried.iter().all(|other| other.values != values) {
                return Some(values);
            }
        }
        // The space is small, or nothing would have been repeated: the first that is left after a random one.
        let total = self.space.combinations();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is halved against overflow")]
        let total = (total as u64).clamp(1, u64::MAX / 2);
        let start = rng.random_range(0..total);
        (0..total.min(tried.len() as u64 + 1))
            .filter_map(|step| self.combination((start + step) % total))
            .find(|values| tried.iter().all(|other| other.values != *values))
    }

    /// The combination with a number, the last range turning fastest.
    fn combination(&self, number: u64) -> Option<Vec<String>> {
        let mut rest = number;
        let mut values = Vec::new();
        for parameter in self.space.parameters.iter().rev() {
            let choices = parameter.kind.choices()?;
            values.push(parameter.kind.nth(rest % choices)?);
            rest /= choices;
        }
        values.reverse();
        (rest == 0).then_some(values)
    }

    /// What the model expects most of, one hyperparameter after the other.
    fn promising(&self, tried: &[Tried], earlier: &[Tried], rng: &mut StdRng) -> Vec<String> {
        let sign = if self.maximize { -1.0 } else { 1.0 };
        let seen: Vec<&Tried> = earlier.iter().chain(tried).collect();
        // Jobs that run or failed count as bad as the worst: the search keeps away from where they are.
        let worst = seen.iter().filter_map(|other| other.result).map(|result| sign * result).fold(f64::NEG_INFINITY, f64::max);
        let parameters = self.space.parameters.iter().enumerate();
        parameters
            .map(|(index, parameter)| {
                let points = seen.iter().filter_map(|other| {
                    let place = parameter.kind.place(other.values.get(index)?)?;
                    Some((place, other.result.map_or(worst, |result| sign * result)))
                });
                let place = ask(&parameter.kind, points, rng).unwrap_or_else(|| rng.random());
                parameter.kind.value(place)
            })
            .collect()
    }
}

/// Asks the estimator of one hyperparameter; `None` when it has no answer. Places and answer are in 0..1.
fn ask(kind: &Kind, points: impl Iterator<Item = (f64, f64)>, rng: &mut StdRng) -> Option<f64> {
    let categories = match kind {
        #[expect(clippy::cast_precision_loss, reason = "30 values at most")]
        Kind::Categorical(values) => Some(values.len() as f64),
        _ => None,
    };
    let (estimator, range) = match categories {
        Some(count) => (tpe::histogram_estimator(), tpe::range(0.0, count)),
        None => (tpe::parzen_estimator(), tpe::range(0.0, 1.0)),
    };
    let mut optimizer = TpeOptimizerBuilder::new().gamma(GOOD).build(estimator, range.ok()?).ok()?;
    for (place, result) in points {
        let place = categories.map_or(place, |count| (place * count).floor());
        optimizer.tell(place, result).ok()?;
    }
    let answer = optimizer.ask(rng).ok()?;
    Some(categories.map_or(answer, |count| (answer.floor() + 0.5) / count).clamp(0.0, 1.0 - f64::EPSILON))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::sagemaker::tuning::space::{Parameter, Scale};

    fn numbers(ranges: &[(f64, f64)]) -> Space {
        let parameters = ranges.iter().enumerate().map(|(index, (low, high))| Parameter {
            name: format!("x{index}"),
            kind: Kind::Continuous { low: *low, high: *high, scale: Scale::Linear },
        });
        Space { parameters: parameters.collect() }
    }

    fn search(space: Space, strategy: Strategy, seed: u64) -> Search {
        Search { space, strategy, seed, maximize: false }
    }

    /// Runs a search on a function, one candidate at a time.
    fn run(search: &Search, jobs: usize, function: impl Fn(&[String]) -> f64) -> Vec<Tried> {
        let mut tried = Vec::new();
        for _ in 0..jobs {
            let values = search.candidate(&tried, &[]).expect("there are more");
            let result = Some(function(&values));
            tried.push(Tried { values, result });
        }
        tried
    }

    fn best(tried: &[Tried]) -> f64 {
        tried.iter().filter_map(|other| other.result).fold(f64::INFINITY, f64::min)
    }

    fn floats(values: &[String]) -> Vec<f64> {
        values.iter().map(|value| value.parse().expect("a number")).collect()
    }

    /// Branin's function, minimum 0.397887 (F. H. Branin, IBM J. Res. Dev. 16 (1972) 504; in the form of Dixon and Szegö,
    /// Towards Global Optimisation 2 (1978)).
    fn branin(values: &[String]) -> f64 {
        let [x, y] = floats(values)[..] else { panic!("two values") };
        let pi = std::f64::consts::PI;
        (y - 5.1 / (4.0 * pi * pi) * x * x + 5.0 / pi * x - 6.0).powi(2) + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * x.cos() + 10.0
    }

    /// Hartmann's function of three variables, minimum -3.86278 (J. K. Hartman, 1973; constants as in Dixon and Szegö 1978).
    fn hartmann3(values: &[String]) -> f64 {
        let x = floats(values);
        let alpha = [1.0, 1.2, 3.0, 3.2];
        let a = [[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]];
        let p: [[f64; 3]; 4] =
            [[0.3689, 0.1170, 0.2673], [0.4699, 0.4387, 0.7470], [0.1091, 0.8732, 0.5547], [0.0381, 0.5743, 0.8828]];
        -(0..4).map(|i| alpha[i] * (-(0..3).map(|j| a[i][j] * (x[j] - p[i][j]).powi(2)).sum::<f64>()).exp()).sum::<f64>()
    }

    /// Mean distance of the best of 60 jobs to the minimum, over 30 fixed seeds.
    fn regret(space: &Space, strategy: Strategy, function: fn(&[String]) -> f64, minimum: f64) -> f64 {
        (0..30).map(|seed| best(&run(&search(space.clone(), strategy, seed), 60, function)) - minimum).sum::<f64>() / 30.0
    }

    #[test]
    fn bayesian_halves_the_regret_of_random_on_branin_and_hartmann() {
        for (name, space, function, minimum) in [
            ("Branin", numbers(&[(-5.0, 10.0), (0.0, 15.0)]), branin as fn(&[String]) -> f64, 0.397_887),
            ("Hartmann 3", numbers(&[(0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]), hartmann3, -3.862_78),
        ] {
            let bayesian = regret(&space, Strategy::Bayesian, function, minimum);
            let random = regret(&space, Strategy::Random, function, minimum);
            assert!(bayesian <= 0.5 * random, "{name}: {bayesian} is not half of {random}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_sequence_and_another_one_another() {
        let space = numbers(&[(-5.0, 10.0), (0.0, 15.0)]);
        for strategy in [Strategy::Bayesian, Strategy::Random] {
            let texts = |seed| -> Vec<_> {
                run(&search(space.clone(), strategy, seed), 25, branin).into_iter().map(|tried| tried.values).collect()
            };
            assert_eq!(texts(7), texts(7));
            assert_ne!(texts(7), texts(8));
        }
    }

    #[test]
    fn categories_come_byte_for_byte_and_no_candidate_twice() {
        let values: Vec<String> = ["\"32\"", "\"64\"", " x ", "ü"].map(str::to_owned).to_vec();
        let space = Space {
            parameters: vec![
                Parameter { name: "c".to_owned(), kind: Kind::Categorical(values.clone()) },
                Parameter { name: "n".to_owned(), kind: Kind::Integer { low: 1, high: 5, scale: Scale::Logarithmic } },
            ],
        };
        for strategy in [Strategy::Bayesian, Strategy::Random, Strategy::Grid] {
            let search = search(space.clone(), strategy, 3);
            let tried = run(&search, 20, |texts| texts[1].parse::<f64>().expect("a number"));
            let mut texts: Vec<_> = tried.iter().map(|other| other.values.clone()).collect();
            assert!(
                texts
                    .iter()
                    .all(|texts| values.contains(&texts[0]) && (1..=5).contains(&texts[1].parse::<i32>().expect("a number")))
            );
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), 20, "{strategy:?}");
            assert_eq!(search.candidate(&tried, &[]), None, "{strategy:?}");
        }
    }

    #[test]
    fn a_grid_goes_through_all_combinations_in_order() {
        let kind = |values: &[&str]| Kind::Categorical(values.iter().map(|value| (*value).to_owned()).collect());
        let space = Space {
            parameters: vec![
                Parameter { name: "a".to_owned(), kind: kind(&["1", "2"]) },
                Parameter { name: "b".to_owned(), kind: kind(&["x", "y"]) },
            ],
        };
        let texts: Vec<String> =
            run(&search(space, Strategy::Grid, 0), 4, |_| 0.0).iter().map(|tried| tried.values.concat()).collect();
        assert_eq!(texts, ["1x", "1y", "2x", "2y"]);
    }

    #[test]
    fn a_warm_start_begins_where_its_parents_were_good() {
        let space = numbers(&[(0.0, 1.0)]);
        let parent = run(&search(space.clone(), Strategy::Random, 1), 40, |texts| (floats(texts)[0] - 0.8).abs());
        let child = search(space, Strategy::Bayesian, 2);
        let near = (0..20).filter(|seed| {
            let child = Search { seed: *seed, ..child.clone() };
            let first = child.candidate(&[], &parent).expect("a candidate");
            (floats(&first)[0] - 0.8).abs() < 0.15
        });
        assert!(near.count() >= 15, "the first candidate is near the parents' best");
    }

    #[test]
    fn the_direction_turns_the_search() {
        let space = numbers(&[(0.0, 1.0)]);
        let mean = |maximize| {
            let search = Search { space: space.clone(), strategy: Strategy::Bayesian, seed: 5, maximize };
            let tried = run(&search, 40, |texts| floats(texts)[0]);
            tried[20..].iter().map(|tried| floats(&tried.values)[0]).sum::<f64>() / 20.0
        };
        assert!(mean(true) > 0.7 && mean(false) < 0.3, "{} {}", mean(true), mean(false));
    }
}
