//! From a filled-in form or a target to something done: problems, the order's number, progress.

use std::sync::Mutex;

use super::print;
use super::session::Session;
use super::signals::Signals;
use crate::aws::with_order;
use crate::config::nearest::suggest;
use crate::model::{Failure, FailureKind, Field, FieldKind, Form, Order, Outcome, Problem, Progress, Recipe, Verb};
use crate::resource::Resource;

/// Sends a confirmed order, with its progress on stderr.
///
/// # Errors
/// As the service, the guard or the journal says.
pub async fn run(session: &Session, resource: &'static dyn Resource, recipe: &Recipe, order: &Order) -> Result<Outcome, Failure> {
    let said = Mutex::new(String::new());
    let progress = |progress: Progress| {
        let share = progress.done.saturating_mul(100).checked_div(progress.total);
        let share = share.map_or_else(String::new, |percent| format!(" {percent} %"));
        let text = format!("{}{share}", progress.said);
        // Called often; what looks the same is not worth a line.
        if let Ok(mut said) = said.lock()
            && *said != text
        {
            print::ticker(&text);
            *said = text;
        }
    };
    let work = with_order(number()?, resource.run(&session.aws, recipe, order, &progress));
    if !order.verb.can_be_called_off() {
        return work.await;
    }
    let mut signals = Signals::listen()?;
    tokio::select! {
        done = work => done,
        () = signals.next() => Err(order.called_off()),
    }
}

/// A number for an order that no other order has.
///
/// # Errors
/// When this machine has no random numbers.
pub fn number() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(FailureKind::Machine, format!("this machine has no random numbers: {error}"), ""))?;
    Ok(hex::encode(bytes))
}

/// Writes `KEY=VALUE` into a form. `KEY` is a field, or `FIELD.NAME` for one `NAME = VALUE` line of a field that has such
/// lines, e.g. `hyperparameters.lr=0.1`.
///
/// # Errors
/// `Invalid` with the fields there are.
pub fn set(form: &mut Form, setting: &str) -> Result<(), Failure> {
    let invalid = |what: String, hint: String| Err(Failure::new(FailureKind::Invalid, what, hint));
    let Some((key, value)) = setting.split_once('=') else {
        return invalid(format!("--set {setting} has no `=`"), "Write --set KEY=VALUE.".to_owned());
    };
    let (key, value) = (key.trim(), value.trim());
    let (name, line) = key.split_once('.').map_or((key, None), |(name, line)| (name, Some(line)));
    // `instance-type` reads as well as `instance_type`.
    let Some(place) = form.fields.iter().position(|field| field.name == name || field.name == name.replace('-', "_").as_str())
    else {
        let names: Vec<&str> = form.fields.iter().map(|field| field.name.as_ref()).collect();
        return invalid(
            format!("--set {key}: there is no such field; {}", suggest(name, &names)),
            format!("Fields: {}", names.join(", ")),
        );
    };
    let field = &mut form.fields[place];
    match (line, &field.kind) {
        // The project file says true and false, the form yes and no.
        (None, FieldKind::Toggle) => match value {
            "yes" | "true" => "yes".clone_into(&mut field.value),
            "no" | "false" => "no".clone_into(&mut field.value),
            other => return invalid(format!("--set {key}: '{other}' is neither yes nor no"), format!("Write --set {key}=yes.")),
        },
        (None, _) => value.clone_into(&mut field.value),
        (Some(line), FieldKind::Area) => set_line(field, line, value),
        (Some(_), _) => return invalid(format!("--set {key}: `{name}` has no parts"), format!("Write --set {name}=VALUE.")),
    }
    Ok(())
}

fn set_line(field: &mut Field, name: &str, value: &str) {
    let fresh = format!("{name} = {value}");
    let mut lines: Vec<&str> = field.value.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_it = |line: &&str| line.split_once('=').is_some_and(|(before, _)| before.trim() == name);
    match lines.iter().position(is_it) {
        Some(place) => lines[place] = &fresh,
        None => lines.push(&fresh),
    }
    field.value = lines.join("\n");
}

/// Prints the problems of a form, each once.
///
/// # Errors
/// `Invalid` when one of them makes the order impossible.
pub fn report(form: &Form, problems: &[Problem]) -> Result<(), Failure> {
    let mut said: Vec<&Problem> = Vec::new();
    for problem in problems {
        if said.iter().any(|earlier| earlier.field == problem.field && earlier.message == problem.message) {
            continue;
        }
        let kind = if problem.fatal { "error" } else { "note" };
        let place = if problem.field.is_empty() { String::new() } else { format!("{}: ", problem.field) };
        print::progress(&format!("{kind}: {place}{}", problem.message));
        said.push(problem);
    }
    if problems.iter().any(|problem| problem.fatal) {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("{}: nothing was sent", form.title),
            match form.verb {
                Verb::Upload | Verb::Download => "Correct what the command names, and try again.",
                _ => "Correct footplate.toml, or override with --set KEY=VALUE.",
            },
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::model::{Safe, Verb};

    use super::*;

    fn form() -> Form {
        let field = |name: &'static str, kind, value: &str| Field {
            name: name.into(),
            label: name.into(),
            help: "".into(),
            kind,
            value: value.to_owned(),
            initial: value.to_owned(),
        };
        Form {
            title: Safe::line("Launch"),
            resource: "training-jobs".to_owned(),
            verb: Verb::Launch,
            parent: None,
            fields: vec![
                field("instance_type", FieldKind::Line, "ml.m5.large"),
                field("hyperparameters", FieldKind::Area, "epochs = 2\nlr = 0.1\n"),
                field("spot", FieldKind::Toggle, "no"),
            ],
        }
    }

    #[test]
    fn a_field_and_a_line_of_a_field_can_be_set() {
        let mut form = form();
        set(&mut form, "instance-type=ml.c5.xlarge").unwrap();
        set(&mut form, "hyperparameters.lr=0.2").unwrap();
        set(&mut form, "hyperparameters.note=a=b").unwrap();
        set(&mut form, "spot=true").unwrap();
        assert_eq!((form.value("instance_type"), form.value("spot")), ("ml.c5.xlarge", "yes"));
        assert_eq!(form.value("hyperparameters"), "epochs = 2\nlr = 0.2\nnote = a=b");
    }

    #[test]
    fn what_cannot_be_set_is_invalid_with_the_fields_there_are() {
        for setting in ["instance_tpye=x", "colour=red", "no-equals", "instance_type.x=1", "spot=maybe"] {
            let failure = set(&mut form(), setting).unwrap_err();
            assert_eq!(failure.exit_code(), 2, "{failure}");
        }
        let failure = set(&mut form(), "instance_tpye=x").unwrap_err();
        assert!(
            failure.to_string().contains("did you mean `instance_type`?") && failure.to_string().contains("hyperparameters"),
            "{failure}"
        );
    }

    #[test]
    fn only_fatal_problems_stop_an_order() {
        let problem = |fatal| Problem { field: "name".to_owned(), message: Safe::line("odd"), fatal };
        assert!(report(&form(), &[problem(false), problem(false)]).is_ok());
        assert_eq!(report(&form(), &[problem(false), problem(true)]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn numbers_differ() {
        assert_ne!(number().unwrap(), number().unwrap());
    }
}
