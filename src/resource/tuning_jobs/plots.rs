//! The charts of a search: the best so far, each hyperparameter against the objective, and all of them together.

use aws_sdk_sagemaker::operation::describe_hyper_parameter_tuning_job::DescribeHyperParameterTuningJobOutput;
use aws_sdk_sagemaker::types::{HyperParameterScalingType, ParameterRanges};

use super::describe::{maximizes, metric};
use super::trial::{Trial, best};
use crate::aws::script_mode::hyperparameters::decode;
use crate::model::{Axis, Dot, ItemId, Plot, PlotKind, Safe, Scale};

/// Values that differ by this factor are seen better by orders of magnitude.
const SPREAD: f64 = 50.0;

/// One searched hyperparameter.
struct Searched {
    name: String,
    log: bool,
    /// Of a list, its values as they travel.
    categories: Vec<String>,
}

impl Searched {
    fn axis(&self) -> Axis {
        Axis {
            name: Safe::line(&self.name),
            scale: if self.log { Scale::Log } else { Scale::Linear },
            categories: self.categories.iter().map(|raw| Safe::line(&decode(raw))).collect(),
        }
    }

    fn value(&self, trial: &Trial) -> Option<f64> {
        let (_, raw) = trial.tuned.iter().find(|(name, _)| *name == self.name)?;
        if self.categories.is_empty() {
            return decode(raw).parse().ok().filter(|value: &f64| value.is_finite());
        }
        let at = self.categories.iter().position(|known| decode(known) == decode(raw))?;
        #[expect(clippy::cast_precision_loss, reason = "at most 30 categories")]
        Some(at as f64)
    }
}

/// All charts, as far as there are trials with a result.
pub(super) fn plots(job: &DescribeHyperParameterTuningJobOutput, trials: &[Trial]) -> Vec<Plot> {
    let maximize = maximizes(job);
    let best = best(trials, maximize).map(|trial| trial.name.as_str());
    let told: Vec<(usize, &Trial)> = trials.iter().enumerate().filter(|(_, trial)| trial.objective.is_some()).collect();
    if told.is_empty() {
        return Vec::new();
    }
    let metric = Safe::line(metric(job));
    let spread = spans(told.iter().filter_map(|(_, trial)| trial.objective));
    let objective = Axis { name: metric.clone(), scale: if spread { Scale::Log } else { Scale::Linear }, categories: Vec::new() };
    let dot = |trial: &Trial, mut values: Vec<Option<f64>>| {
        values.push(trial.objective);
        Dot { of: ItemId(trial.name.clone()), values, best: best == Some(trial.name.as_str()) }
    };
    let number = Axis { name: "trial".into(), scale: Scale::Linear, categories: Vec::new() };
    #[expect(clippy::cast_precision_loss, reason = "at most some thousand trials")]
    let steps = Plot {
        title: format!("{metric}: best so far").into(),
        kind: if maximize { PlotKind::StepsUp } else { PlotKind::StepsDown },
        axes: vec![number, objective.clone()],
        dots: told.iter().map(|(at, trial)| dot(trial, vec![Some((at + 1) as f64)])).collect(),
    };
    let searched = searched(job.hyper_parameter_tuning_job_config().and_then(|config| config.parameter_ranges()));
    let mut plots = vec![steps];
    plots.extend(searched.iter().map(|one| Plot {
        title: format!("{metric} by {}", one.name).into(),
        kind: PlotKind::Scatter,
        axes: vec![one.axis(), objective.clone()],
        dots: told.iter().map(|(_, trial)| dot(trial, vec![one.value(trial)])).collect(),
    }));
    if searched.len() > 1 {
        plots.push(Plot {
            title: "all together".into(),
            kind: PlotKind::Parallel,
            axes: searched.iter().map(Searched::axis).chain([objective]).collect(),
            dots: told.iter().map(|(_, trial)| dot(trial, searched.iter().map(|one| one.value(trial)).collect())).collect(),
        });
    }
    plots
}

/// The searched hyperparameters by name.
fn searched(ranges: Option<&ParameterRanges>) -> Vec<Searched> {
    let Some(ranges) = ranges else { return Vec::new() };
    let log = |scaling: Option<&HyperParameterScalingType>, min: Option<&str>, max: Option<&str>| {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
        match scaling {
            Some(HyperParameterScalingType::Logarithmic) => true,
            Some(HyperParameterScalingType::Linear | HyperParameterScalingType::ReverseLogarithmic) => false,
            _ => spans([number(min), number(max)].into_iter().flatten()),
        }
    };
    let owned = |name: Option<&str>| name.unwrap_or_default().to_owned();
    let mut found: Vec<Searched> = Vec::new();
    found.extend(ranges.continuous_parameter_ranges().iter().map(|range| Searched {
        name: owned(range.name()),
        log: log(range.scaling_type(), range.min_value(), range.max_value()),
        categories: Vec::new(),
    }));
    found.extend(ranges.integer_parameter_ranges().iter().map(|range| Searched {
        name: owned(range.name()),
        log: log(range.scaling_type(), range.min_value(), range.max_value()),
        categories: Vec::new(),
    }));
    found.extend(ranges.categorical_parameter_ranges().iter().map(|range| Searched {
        name: owned(range.name()),
        log: false,
        categories: range.values().to_vec(),
    }));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Whether values, all above zero, lie orders of magnitude apart.
fn spans(values: impl Iterator<Item = f64>) -> bool {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    low > 0.0 && high / low >= SPREAD
}

#[cfg(test)]
mod tests {
    use aws_sdk_sagemaker::types::{
        CategoricalParameterRange, ContinuousParameterRange, HyperParameterTuningJobConfig, HyperParameterTuningJobObjective,
        HyperParameterTuningJobObjectiveType,
    };

    use super::super::trial::tests::trial;
    use super::*;

    fn job(kind: HyperParameterTuningJobObjectiveType) -> DescribeHyperParameterTuningJobOutput {
        let lr = ContinuousParameterRange::builder().name("lr").min_value("0.001").max_value("0.1").build();
        let batch = CategoricalParameterRange::builder().name("batch").values("\"32\"").values("\"64\"").build();
        let ranges = ParameterRanges::builder().continuous_parameter_ranges(lr).categorical_parameter_ranges(batch).build();
        let objective = HyperParameterTuningJobObjective::builder().r#type(kind).metric_name("loss").build();
        let config = HyperParameterTuningJobConfig::builder()
            .parameter_ranges(ranges)
            .hyper_parameter_tuning_job_objective(objective)
            .build();
        DescribeHyperParameterTuningJobOutput::builder().hyper_parameter_tuning_job_config(config).build()
    }

    #[test]
    fn each_trial_with_a_result_has_its_dot_in_each_chart() {
        let trials = [trial(1, Some(2.0), 0, Some(1)), trial(2, None, 0, Some(1)), trial(3, Some(1.0), 0, Some(1))];
        let plots = plots(&job(HyperParameterTuningJobObjectiveType::Minimize), &trials);
        let titles: Vec<&str> = plots.iter().map(|plot| plot.title.as_str()).collect();
        assert_eq!(titles, ["loss: best so far", "loss by batch", "loss by lr", "all together"]);
        assert!(plots.iter().all(|plot| plot.dots.len() == 2 && !plot.dots[0].best && plot.dots[1].best));
        assert_eq!((plots[0].kind, plots[0].dots[1].values.clone()), (PlotKind::StepsDown, vec![Some(3.0), Some(1.0)]));
        assert_eq!(plots[1].axes[0].categories, [Safe::line("32"), Safe::line("64")]);
        assert_eq!(plots[1].dots[0].values, [Some(0.0), Some(2.0)]);
        assert_eq!((plots[2].axes[0].scale, plots[2].axes[1].scale), (Scale::Log, Scale::Linear));
        assert_eq!(plots[3].dots[0].values, [Some(0.0), Some(0.002_555_801_302_205_963), Some(2.0)]);
        assert_eq!(plots[3].dots[0].of, ItemId("t-001-0123abcd".into()));
        let up = super::plots(&job(HyperParameterTuningJobObjectiveType::Maximize), &trials);
        assert!(up[0].kind == PlotKind::StepsUp && up[0].dots[0].best);
        assert!(super::plots(&job(HyperParameterTuningJobObjectiveType::Maximize), &trials[1..2]).is_empty());
    }
}
