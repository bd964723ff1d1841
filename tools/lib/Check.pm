# SPDX-License-Identifier: Apache-2.0
# What the checks of tools/ share: finding sources, stripping comments, reporting, and testing themselves on planted
# violations. Uses only what Debian's perl-base has.
package Check;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);

our @EXPORT = qw(complain finish main root skip slurp sources strip warning_note walk);

our $kSource = qr/\.(?:h|cc|cu|cuh)$/;                  # .inl.h included
our @kCodeFolders = qw(include src apps bindings examples tests bench tools);
my ($root, @complaints, @warnings);

sub root { return $root }
sub complain { push @complaints, join('', @_) }
sub warning_note { push @warnings, join('', @_) }

sub slurp {
  my ($path) = @_;
  open(my $in, '<', $path) or die "cannot read $path: $!\n";
  local $/;
  my $text = <$in>;
  return defined $text ? $text : '';
}

# Paths below `folder`, relative to the root and sorted, whose names match. Leaves out build folders and hidden ones.
sub walk {
  my ($folder, $match) = @_;
  my @found;
  opendir(my $dir, "$root/$folder") or return ();
  for my $name (sort readdir $dir) {
    next if $name =~ /^\./ && $name ne '.ci';
    my $path = $folder eq '.' ? $name : "$folder/$name";
    next if -l "$root/$path";
    if (-d "$root/$path") {
      push @found, walk($path, $match) unless $path eq 'build';
    } elsif ($path =~ $match) {
      push @found, $path;
    }
  }
  return @found;
}

# All C++ and CUDA sources, or those of the given folders.
sub sources {
  my @folders = @_ ? @_ : @kCodeFolders;
  return map { walk($_, $kSource) } @folders;
}

# The text with comments and the insides of string and character literals blanked; lines stay where they are.
# With `keep_strings` only comments go.
sub strip {
  my ($text, $keep_strings) = @_;
  my $blank = sub { my ($s) = @_; $s =~ s/[^\n]/ /g; return $s };
  my $literal = sub {
    my ($s) = @_;
    return $s if $keep_strings;
    return substr($s, 0, 1) . $blank->(substr($s, 1, -1)) . substr($s, -1);
  };
  $text =~ s{
      (?<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)
    | (?<raw>R"(?<mark>[^()\\\s]{0,16})\(.*?\)\k<mark>")
    | (?<digits>\b[0-9][0-9a-zA-Z_.]*(?:'[0-9a-zA-Z_.]+)+)
    | (?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  }{
    defined $+{comment} ? $blank->($+{comment})
      : defined $+{digits} ? $+{digits}
      : defined $+{raw} ? ($keep_strings ? $+{raw} : $blank->($+{raw}))
      : $literal->($+{string})
  }gsex;
  return $text;
}

sub skip {
  my ($reason) = @_;
  print "SKIP: $reason\n";
  exit 77;
}

# Prints what was found and ends the program.
sub finish {
  my ($checked) = @_;
  print "warning: $_\n" for @warnings;
  print "error: $_\n" for @complaints;
  printf "%s: %d errors, %d warnings\n", $checked, scalar @complaints, scalar @warnings;
  exit(@complaints ? 1 : 0);
}

# main(\&check, @cases): runs the check on --root (default: this tree), or with --self-test runs the program on every
# case: [name, {path => text}, regex that its complaint must match, or undef where it must pass].
sub main {
  my ($check, @cases) = @_;
  my $self_test = 0;
  my $home = dirname(dirname(abs_path($0)));
  my @rest;
  while (@ARGV) {
    my $arg = shift @ARGV;
    if ($arg eq '--root') { $home = abs_path(shift @ARGV) }
    elsif ($arg eq '--self-test') { $self_test = 1 }
    else { push @rest, $arg }
  }
  $root = $home;
  return $check->(@rest) unless $self_test;
  my $failed = 0;
  for my $case (@cases) {
    my ($name, $files, $expected, @arguments) = @$case;
    my $tree = tempdir(CLEANUP => 1);
    for my $path (sort keys %$files) {
      my $at = $tree;
      for my $part (split m{/}, dirname($path)) { $at .= "/$part"; mkdir $at }
      open(my $out, '>', "$tree/$path") or die "cannot write $tree/$path: $!\n";
      print $out $files->{$path};
      close $out;
      chmod 0755, "$tree/$path" if $files->{$path} =~ /^#!/;
    }
    my @command = ($^X, '-I', "$home/tools/lib", $0, '--root', $tree, map { s/\@TREE\@/$tree/gr } @arguments);
    my $output = run_quietly(@command);
    my $status = $? >> 8;
    my $good = defined $expected ? $status == 1 && $output =~ $expected : $status == 0;
    printf "%s: %s\n", $good ? 'ok' : 'FAILED', $name;
    next if $good;
    $failed = 1;
    print "  exit status $status, expected ", defined $expected ? "1 and /$expected/" : '0', "\n";
    print "  | $_\n" for split /\n/, $output;
  }
  exit $failed;
}

sub run_quietly {
  my (@command) = @_;
  my $pid = open(my $pipe, '-|');
  die "cannot fork: $!\n" unless defined $pid;
  if (!$pid) {
    open(STDERR, '>&', \*STDOUT);
    exec @command or exit 127;
  }
  local $/;
  my $output = <$pipe>;
  close $pipe;
  return defined $output ? $output : '';
}

1;
