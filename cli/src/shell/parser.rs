//! The parser of commands: `name value, value, KEY => value`, with or without parentheses, as a method of a
//! variable, or assigned to one.

use super::command::{Assignment, Command, Receiver, Source, Statement};
use super::lexer::{Kind, SyntaxError, Token, tokens};
use super::value::{Value, ValueKind};

/// Maximum nesting depth of lists and hashes.
const DEPTH: usize = 32;

/// Parses the statements of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<Statement>, SyntaxError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, next: 0 };
    let mut statements = Vec::new();
    loop {
        while parser.take(&Kind::Break) {}
        if parser.peek().kind == Kind::End {
            return Ok(statements);
        }
        statements.push(parser.statement()?);
    }
}

struct Parser {
    /// The last token is [`Kind::End`].
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn bump(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek().kind == *kind;
        self.next += usize::from(found);
        found
    }

    fn skip_breaks(&mut self) {
        while self.take(&Kind::Break) {}
    }

    fn expected(&self, what: &str) -> SyntaxError {
        let token = self.peek();
        let message = format!("expected {what}, found {}", token.kind);
        match token.kind {
            Kind::End => SyntaxError::incomplete(token.at, message),
            _ => SyntaxError::new(token.at, message),
        }
    }

    fn peek_second(&self) -> &Kind {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].kind
    }

    fn statement(&mut self) -> Result<Statement, SyntaxError> {
        if *self.peek_second() != Kind::Mark('=') || !matches!(self.peek().kind, Kind::Word(_)) {
            return Ok(Statement::Command(self.command()?));
        }
        let token = self.bump();
        let name = match token.kind {
            Kind::Word(name) if is_variable(&name) => name,
            kind => {
                let message = format!("expected a variable, which begins with a small letter, found {kind}");
                return Err(SyntaxError::new(token.at, message));
            }
        };
        self.bump();
        self.skip_breaks();
        // a word alone is a variable
        let is_command = matches!(&self.peek().kind, Kind::Word(word) if is_variable(word))
            && !matches!(self.peek_second(), Kind::Break | Kind::End);
        let source = if is_command {
            Source::Command(self.command()?)
        } else {
            let value = self.value(0)?;
            if !matches!(self.peek().kind, Kind::Break | Kind::End) {
                return Err(self.expected("the end of the command"));
            }
            Source::Value(value)
        };
        Ok(Statement::Assignment(Assignment { name, source }))
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        let mut token = self.bump();
        let mut receiver = None;
        if let Kind::Word(name) = &token.kind
            && self.take(&Kind::Mark('.'))
        {
            receiver = Some(Receiver { name: name.clone(), at: token.at });
            if !matches!(self.peek().kind, Kind::Word(_)) {
                return Err(self.expected("a command"));
            }
            token = self.bump();
        }
        let Kind::Word(name) = token.kind else {
            return Err(SyntaxError::new(token.at, format!("expected a command, found {}", token.kind)));
        };
        // the parenthesis of a call follows the name without a blank
        let is_call = self.peek().kind == Kind::Mark('(') && self.peek().at == token.end;
        let values = if is_call {
            self.bump();
            self.values(Some(')'))?
        } else {
            self.values(None)?
        };
        match self.peek().kind {
            Kind::Break | Kind::End => Ok(Command { receiver, name, at: token.at, values }),
            // more text cannot make this valid
            _ => Err(self.expected("a comma or the end of the command")),
        }
    }

    /// Parses values up to a closing mark, or to the end of the command. Bare pairs form a hash, which is the
    /// last value.
    fn values(&mut self, close: Option<char>) -> Result<Vec<Value>, SyntaxError> {
        let (mut values, mut pairs) = (Vec::new(), Vec::new());
        let mut pairs_at = 0;
        if self.at_close(close) {
            return Ok(values);
        }
        loop {
            self.skip_breaks();
            let value = self.value(0)?;
            if self.take(&Kind::Arrow) {
                self.skip_breaks();
                pairs_at = if pairs.is_empty() { value.at } else { pairs_at };
                let second = self.value(0)?;
                pairs.push((value, second));
            } else if pairs.is_empty() {
                values.push(value);
            } else {
                return Err(self.expected("=>"));
            }
            if close.is_some() {
                self.skip_breaks();
            }
            if self.take(&Kind::Mark(',')) {
                continue;
            }
            if self.at_close(close) {
                break;
            }
            return Err(self.expected(match close {
                Some(_) => "a comma or )",
                None => "a comma or the end of the command",
            }));
        }
        if !pairs.is_empty() {
            values.push(Value { at: pairs_at, kind: ValueKind::Hash(pairs) });
        }
        Ok(values)
    }

    fn at_close(&mut self, close: Option<char>) -> bool {
        match close {
            Some(close) => {
                self.skip_breaks();
                self.take(&Kind::Mark(close))
            }
            None => matches!(self.peek().kind, Kind::Break | Kind::End),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth > DEPTH {
            return Err(SyntaxError::new(self.peek().at, "lists and hashes are nested too deeply"));
        }
        let at = self.peek().at;
        let kind = match &self.peek().kind {
            Kind::Text(bytes) => ValueKind::Text(bytes.clone()),
            Kind::Number(number) => ValueKind::Number(*number),
            Kind::Word(word) => match word.as_str() {
                "true" => ValueKind::Flag(true),
                "false" => ValueKind::Flag(false),
                "nil" => ValueKind::Nil,
                word if is_variable(word) => ValueKind::Variable(word.to_owned()),
                word => ValueKind::Constant(word.to_owned()),
            },
            Kind::Mark('[') => return self.list(at, depth),
            Kind::Mark('{') => return self.hash(at, depth),
            _ => return Err(self.expected("a value")),
        };
        self.bump();
        Ok(Value { at, kind })
    }

    fn list(&mut self, at: usize, depth: usize) -> Result<Value, SyntaxError> {
        self.bump();
        let mut values = Vec::new();
        while !self.at_close(Some(']')) {
            values.push(self.value(depth + 1)?);
            self.skip_breaks();
            if !self.take(&Kind::Mark(',')) && self.peek().kind != Kind::Mark(']') {
                return Err(self.expected("a comma or ]"));
            }
        }
        Ok(Value { at, kind: ValueKind::List(values) })
    }

    fn hash(&mut self, at: usize, depth: usize) -> Result<Value, SyntaxError> {
        self.bump();
        let mut pairs = Vec::new();
        while !self.at_close(Some('}')) {
            let key = self.value(depth + 1)?;
            self.skip_breaks();
            if !self.take(&Kind::Arrow) {
                return Err(self.expected("=>"));
            }
            self.skip_breaks();
            pairs.push((key, self.value(depth + 1)?));
            self.skip_breaks();
            if !self.take(&Kind::Mark(',')) && self.peek().kind != Kind::Mark('}') {
                return Err(self.expected("a comma or }"));
            }
        }
        Ok(Value { at, kind: ValueKind::Hash(pairs) })
    }
}

/// Whether a word may name a variable.
fn is_variable(word: &str) -> bool {
    !word.starts_with(char::is_uppercase)
        && !matches!(word, "true" | "false" | "nil")
        && !word.ends_with(['?', '!'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(at: usize, text: &str) -> Value {
        Value { at, kind: ValueKind::Text(text.as_bytes().to_vec()) }
    }

    fn constant(at: usize, name: &str) -> Value {
        Value { at, kind: ValueKind::Constant(name.into()) }
    }

    fn number(at: usize, number: i64) -> Value {
        Value { at, kind: ValueKind::Number(number) }
    }

    #[test]
    fn values_lists_and_hashes() {
        let commands = parse("scan 't', {COLUMNS => ['f:q'], LIMIT => 3}").unwrap();
        let hash = ValueKind::Hash(vec![
            (constant(11, "COLUMNS"), Value { at: 22, kind: ValueKind::List(vec![text(23, "f:q")]) }),
            (constant(31, "LIMIT"), number(40, 3)),
        ]);
        let values = vec![text(5, "t"), Value { at: 10, kind: hash }];
        assert_eq!(
            commands,
            [Statement::Command(Command { receiver: None, name: "scan".into(), at: 0, values })]
        );
    }

    #[test]
    fn pairs_without_braces_are_a_hash() {
        let bare = parse("create 't', NAME => 'f', VERSIONS => 3").unwrap();
        let call = parse("create('t',\n  NAME => 'f',\n  VERSIONS => 3\n)").unwrap();
        for commands in [bare, call] {
            let [Statement::Command(Command { values, .. })] = commands.as_slice() else {
                panic!("{commands:?}")
            };
            assert_eq!(values.len(), 2);
            let ValueKind::Hash(pairs) = &values[1].kind else { panic!("{values:?}") };
            assert_eq!(pairs.len(), 2);
        }
    }

    #[test]
    fn commands_end_with_lines_and_semicolons() {
        let names = |text: &str| -> Vec<String> {
            let name = |statement| match statement {
                Statement::Command(command) => command.name,
                Statement::Assignment(assignment) => panic!("{assignment:?}"),
            };
            parse(text).unwrap().into_iter().map(name).collect()
        };
        assert_eq!(names("list; list\n# none\n\nexists 't',\n 'u';exit"), ["list", "list", "exists", "exit"]);
        assert!(names(" \n;# nothing").is_empty());
    }

    #[test]
    fn errors_have_a_position_and_a_message() {
        for (line, at, expected, incomplete) in [
            ("scan 't' 'u'", 9, "expected a comma or the end of the command, found a string", false),
            ("x = 1 + 2", 6, "expected a number after the sign; calculations are not supported", false),
            ("x = 'a' 'b'", 8, "expected the end of the command, found a string", false),
            ("x =", 3, "expected a value, found the end", true),
            ("LIMIT = 3", 0, "expected a variable, which begins with a small letter, found LIMIT", false),
            ("t.", 2, "expected a command, found the end", true),
            ("t.'x'", 2, "expected a command, found a string", false),
            ("scan t.u", 6, "expected a comma or the end of the command, found .", false),
            ("scan 't', {LIMIT 3}", 17, "expected =>, found 3", false),
            ("scan 't', {LIMIT => 3", 21, "expected a comma or }, found the end", true),
            ("scan 't',", 9, "expected a value, found the end", true),
            ("scan('t'", 8, "expected a comma or ), found the end", true),
            ("'t'", 0, "expected a command, found a string", false),
            ("scan 't', [1 2]", 13, "expected a comma or ], found 2", false),
            ("scan 't', A => 1, 2", 19, "expected =>, found the end", true),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(
                (error.at, error.message.as_str(), error.is_incomplete),
                (at, expected, incomplete),
                "{line}"
            );
        }
        let deep = format!("scan {}", "[".repeat(1000));
        assert!(parse(&deep).unwrap_err().message.contains("nested too deeply"));
    }

    #[test]
    fn methods_and_assignments() {
        let parsed = parse("x = 5\nt = get_table('u')\nt.get 'r'; y = x\nx").unwrap();
        let get_table =
            Command { receiver: None, name: "get_table".into(), at: 10, values: vec![text(20, "u")] };
        let receiver = Some(Receiver { name: "t".into(), at: 25 });
        let get = Command { receiver, name: "get".into(), at: 27, values: vec![text(31, "r")] };
        let variable = Value { at: 40, kind: ValueKind::Variable("x".into()) };
        let assign = |name: &str, source| Statement::Assignment(Assignment { name: name.into(), source });
        let expected = [
            assign("x", Source::Value(number(4, 5))),
            assign("t", Source::Command(get_table)),
            Statement::Command(get),
            assign("y", Source::Value(variable)),
            Statement::Command(Command { receiver: None, name: "x".into(), at: 42, values: vec![] }),
        ];
        assert_eq!(parsed, expected);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r"([a-zA-Z0-9'{}\[\](),;.= \n]|=>)*") {
            let _ = parse(&text);
        }
    }
}
