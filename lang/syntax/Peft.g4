// Peft: the grammar of `.peft`.
//
// Tokens pass through TokenFilter before the parser sees them: every statement ends with a SEP (made from line ends
// and `;`), `6%` arrives as one PERCENT, and brackets always balance. Only the words `if then else let for true false
// none and or not` are hard; every other word is also a name (rule `ident`).
grammar Peft;

tokens { SEP, PERCENT }

// ---- files and statements ------------------------------------------------------------------------------------------

file: stmts EOF;
onlyExpression: SEP* expr SEP* EOF;
stmts: (SEP | statement)*;
block: LBRACE stmts RBRACE;
statement: stmt SEP;

stmt
  : useStmt | inputStmt | modelStmt | taskDecl | taskUse | attachStmt | trainStmt | optimizeStmt | runStmt | budgetStmt | searchStmt
  | fnDecl | methodDecl | archDecl | moduleDecl | optimizerDecl | scheduleDecl | kindDecl
  | paramStmt | weightStmt | letStmt | sampleStmt | ifStmt | forStmt | dimStmt | requireStmt | atInitStmt
  | checkpointStmt | exampleStmt | interopStmt | rowStmt | metricStmt | stateStmt | lossStmt | onStmt | onGradStmt | gradStmt
  | reservedStmt | moduleStmt | rewireStmt | bindStmt | valueStmt
  ;

// A spec's own statements.
useStmt: 'use' (STRING | ident ('.' ident)* ('.' LBRACE SEP* useName (',' SEP* useName)* ','? SEP* RBRACE)?);
useName: ident;
inputStmt: 'input' ident (':' type)? ('=' expr)?;
modelStmt: 'model' ident '=' expr;
taskUse: 'task' postfix;
attachStmt: 'attach' maybe='maybe'? postfix 'to' selector ('as' ident)?;
trainStmt: word=('train' | 'freeze') selector;
optimizeStmt: 'optimize' postfix (LBRACE optimizeItems RBRACE)?;
optimizeItems: (SEP | optimizeItem)*;
optimizeItem: (schedulePart | groupPart) SEP;
schedulePart: 'schedule' postfix;
groupPart: 'group' field (',' field)* 'for' selector;
runStmt: 'run' fieldBlock;
budgetStmt: 'budget' ident '<=' additive;
searchStmt: 'search' LBRACE searchItems RBRACE;
searchItems: (SEP | searchItem)*;
searchItem: ident postfix SEP;
fieldBlock: LBRACE SEP* (field ((',' | SEP) SEP* field)* ','?)? SEP* RBRACE;
field: ident '=' expr;

// Declarations.
fnDecl: 'fn' ident params '=' expr;
methodDecl: 'method' ident params? ('on' site ('where' expr)?)? block;
archDecl: 'arch' ident params? (':' kinds)? block;
moduleDecl: 'module' ident params? (':' kinds)? block;
optimizerDecl: 'optimizer' ident params? block;
scheduleDecl: 'schedule' ident params? '=' expr;
taskDecl: 'task' ident params? ('on' site)? block;
kindDecl: 'kind' ident LBRACE kindItems RBRACE;
kindItems: (SEP | kindItem)*;
kindItem: ('dims' ident (',' ident)* | point) SEP;
point: ident ':' type;
params: '(' (param (',' param)* ','?)? ')';
param: constant='const'? ident (':' type)? ('=' expr)?;
kinds: site (',' site)*;
site: ID | 'model' | 'module' | 'task';

// Statements of bodies.
paramStmt: (shared='shared' ('per' scope=ident)?)? storage=('param' | 'buffer' | 'frozen') ident ':' type ('=' expr)?;
weightStmt: 'weight' ident ':' type checkpointName? ('=' expr)?;
letStmt: 'let' (ident | '(' tupleName (',' tupleName)* ')') '=' expr;
tupleName: ident;
sampleStmt: 'sample' ident '~' postfix ('per' ident)?;
ifStmt: 'if' expr block ('else' (ifStmt | block))?;
forStmt: 'for' ident 'in' expr block;
dimStmt: 'dim' ident '=' expr;
requireStmt: 'require' rangeExpr 'else' expr;
atInitStmt: 'at_init' ident ('(' STRING ')')?;
checkpointStmt: 'checkpoint' fieldBlock ('for' ident (',' ident)*)?;
exampleStmt: 'example' fieldBlock;
interopStmt: 'interop' ident ('in' STRING)? LBRACE interopItems RBRACE;
interopItems: (SEP | interopItem)*;
interopItem: (requireStmt | listedPart | trainedPart | tensorPart | fieldPart) SEP;
listedPart: 'to' ident ('where' expr)?;
trainedPart: 'train' ident? 'as' STRING;
tensorPart: STRING '=' expr;
fieldPart: ident ('=' expr ('except' ident)? | 'in' expr);
checkpointName: '@' (fresh='new' STRING | STRING ('.' how=ID)? storedRows? (lacking='or' 'new')?);
storedRows: '[' from_=expr? ':' to_=expr? ']';
rowStmt: 'row' ident ':' postfix;
metricStmt: 'metric' ident '=' expr;
stateStmt: 'state' ident (',' ident)* ('=' expr)?;
lossStmt: 'loss' op=('+=' | '<-') expr;
onStmt: 'on' site ('where' expr)? block;
onGradStmt: 'on' 'grad' block;
gradStmt: 'grad' '(' postfix ')' '<-' expr;
moduleStmt: optional='optional'? ident (',' ident)* over? ':' (constructor | kinds) checkpointName? tied? block?;
over: '[' ident 'in' expr ']';
constructor: ident ('.' ident)* arguments;
tied: 'tied' '(' expr ('when' expr)? ')';
rewireStmt: ident rewiredPart* op=('<-' | '+=') expr;
rewiredPart: '.' ident | '[' expr ']';
bindStmt: ident '=' expr;
valueStmt: expr;

// Words that are reserved for what is not built yet: anything up to the end of the statement.
reservedStmt
  : word=('phase' | 'carry' | 'score' | 'reset' | 'rewind' | 'variant' | 'sparse' | 'after') ident looseItem*
  | word='phase' LBRACE looseBlock RBRACE
  | word='every' (ident | NUMBER) looseItem*
  | 'on' word=('start' | 'finish') LBRACE looseBlock RBRACE
  | word='module' ident ':' ident ('(' | '.') looseItem*
  ;
looseItem: ~(SEP | LBRACE | RBRACE) | LBRACE looseBlock RBRACE;
looseBlock: (SEP | looseItem)*;

// ---- selectors -----------------------------------------------------------------------------------------------------

selector: path (',' path)* ('where' expr)? ('except' except (',' except)*)?;
except: path;
path: part ('.' part)*;
part: (subset | ident | star='*' | doubleStar='**' | STRING | LBRACE SEP* path (',' SEP* path)* ','? SEP* RBRACE) partIndex?;
subset: 'choose' word=ident '(' of=ident ',' from_=orExpr '..' to_=orExpr ')';
partIndex
  : '[' '*' ']'                                                                    # everyIndex
  | '[' from_=orExpr? '..' to_=orExpr? ']'                                        # rangeIndex
  | '[' from_=orExpr? ':' to_=orExpr? (':' by_=orExpr?)? ']'                     # sliceIndex
  | '[' orExpr ']'                                                                 # oneIndex
  ;

// ---- types ---------------------------------------------------------------------------------------------------------

type
  : 'list' '[' type ']'                                                            # listType
  | 'method' 'on' site                                                             # methodType
  | '[' (expr (',' expr)* ','?)? ']' ident?                                        # tensorType
  | ident bound*                                                                   # namedType
  ;
bound: op=('<' | '<=' | '>' | '>=') minus='-'? value=NUMBER;

// ---- expressions, loosest first ------------------------------------------------------------------------------------

expr: lambda | ifExpr | rangeExpr ('else' expr)?;
lambda: (ident | '(' ident (',' ident)* ')') '=>' expr;
ifExpr: 'if' expr 'then' thenExpr 'else' expr;
thenExpr: ifExpr | rangeExpr;
rangeExpr: orExpr ('..' orExpr)?;
orExpr: andExpr ('or' andExpr)*;
andExpr: notExpr ('and' notExpr)*;
notExpr: 'not' notExpr | comparison;
comparison: additive (op=('<' | '<=' | '>' | '>=' | '==' | '!=') additive)?;
additive: product (additiveOp product)*;
additiveOp: '+' | '-';
product: unary (productOp unary)*;
productOp: '*' | '/' | '%' | '@';
unary: '-' unary | ident '(' ident 'in' expr ')' product | power;
power: postfix ('**' unary)?;
postfix: primary suffix*;
suffix
  : '.' ident                                                                      # memberSuffix
  | arguments                                                                      # callSuffix
  | '[' subscript (',' subscript)* ','? ']'                                        # indexSuffix
  | 'from' primary frozen='frozen'?                                                # fromSuffix
  ;
arguments: '(' (argument (',' argument)* ','?)? ')';
argument: (ident '=')? expr;
subscript
  : '...'                                                                          # ellipsisSubscript
  | from_=expr? first=':' to_=expr? (':' by_=expr?)?                             # sliceSubscript
  | expr                                                                           # indexSubscript
  ;
primary
  : value=NUMBER                                                                   # number
  | value=PERCENT                                                                  # number
  | STRING                                                                         # string
  | word=('true' | 'false' | 'none')                                               # constant
  | ident                                                                          # name
  | '(' expr ')'                                                                   # group
  | '(' (expr ',' (expr (',' expr)* ','?)?)? ')'                                   # tuple
  | '[' (expr (',' expr)* ','?)? ']'                                               # listValue
  | '[' 'for' ident 'in' expr ':' expr ']'                                         # comprehension
  | block                                                                          # blockValue
  ;

ident
  : ID | 'use' | 'input' | 'model' | 'task' | 'attach' | 'train' | 'freeze' | 'optimize' | 'run' | 'budget' | 'fn' | 'method'
  | 'arch' | 'module' | 'optimizer' | 'schedule' | 'kind' | 'param' | 'buffer' | 'frozen' | 'shared' | 'per' | 'dim' | 'dims'
  | 'require' | 'at_init' | 'weight' | 'row' | 'metric' | 'state' | 'loss' | 'sample' | 'on' | 'to' | 'as' | 'from' | 'where'
  | 'except' | 'in' | 'group' | 'list' | 'const' | 'checkpoint' | 'example' | 'new' | 'maybe' | 'choose' | 'tied' | 'when' | 'optional' | 'phase' | 'search' | 'carry'
  | 'sparse' | 'after' | 'every' | 'score' | 'reset' | 'rewind' | 'variant' | 'interop' | 'grad' | 'start' | 'finish'
  ;

// ---- tokens --------------------------------------------------------------------------------------------------------

LPAREN: '(';
RPAREN: ')';
LBRACKET: '[';
RBRACKET: ']';
LBRACE: '{';
RBRACE: '}';
SEMICOLON: ';';
NUMBER: [0-9]+ ('.' [0-9]+)? ([eE] [+-]? [0-9]+)? ([KMGT] 'iB')?;
STRING: '"' (~["\\\r\n] | '\\' ~[\r\n])* '"';
UNCLOSED_STRING: '"' (~["\\\r\n] | '\\' ~[\r\n])* '\\'?;
ID: [a-zA-Z_] [a-zA-Z0-9_]*;
DOC: '///' (~[/\r\n] ~[\r\n]*)? -> channel(2);
COMMENT: '//' ~[\r\n]* -> channel(1);
SPACE: [ \t\r\n\uFEFF]+ -> skip;
STRANGE: .;
