#include <sstream>

#include "pages.hpp"

namespace kronattn {

namespace {

// What bash runs: `words` is set by the tables before it; nothing to say means file names, unless an argument
// that can be anything but a file is being typed.
const char* const complete_words = R"(  if [ "$words" = - ]; then
    compopt +o default 2>/dev/null
  elif [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  fi
}
complete -o default -F _kronattn kronattn
)";

/// A line of a shell `case`: the words to offer after these ones.
std::string offer(const std::string& after, const std::string& words) {
  return "    " + after + ") words='" + words + "' ;;\n";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// What may follow an option: its choices; file names (no words); or "-", anything.
std::string arguments_of(const OptionText& option) {
  const std::vector<std::string> choices = option.choices();
  return option.takes_file() ? "" : choices.empty() ? "-" : joined(choices);
}

/// The lines for the arguments of one command's options.
std::string option_cases(const CommandLine& command) {
  std::string text;
  for (const OptionText& option : command.options()) {
    if (option.argument.empty()) continue;
    const std::string& name = command.about().name;
    std::string after = "'" + name + " --" + option.name + "'";
    if (!option.letter.empty()) after += " | '" + name + " -" + option.letter + "'";
    text += offer(after, arguments_of(option));
  }
  return text;
}

}  // namespace

std::string bash_completion(const std::vector<CommandLine>& commands) {
  std::string first_words, argument_cases, option_names;
  for (const CommandLine& command : commands) {
    const std::string& name = command.about().name;
    first_words += name + " ";
    argument_cases += option_cases(command);
    std::string names;
    for (const OptionText& option : command.options()) names += "--" + option.name + " ";
    option_names += offer("'" + name + " -'*", names);
  }
  for (const auto& [usage, meaning] : program_text().options)
    if (usage[0] == '-') first_words += usage.substr(0, usage.find(' ')) + " ";
  std::ostringstream text;
  text << "# bash completion of kronattn; made by: kronattn --completion bash\n"
       << "_kronattn() {\n"
       << "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=\n"
       << "  COMPREPLY=()\n"
       << "  if [ \"$word\" = = ]; then\n    word=\n"
       << "  elif [ \"$before\" = = ]; then\n    before=${COMP_WORDS[COMP_CWORD - 2]}\n  fi\n"
       << "  case \"$COMP_CWORD\" in\n"
       << offer("1", first_words) << "  esac\n"
       << "  case \"${COMP_WORDS[1]} $word\" in\n"
       << option_names << "  esac\n"
       << "  case \"${COMP_WORDS[1]} $before\" in\n"
       << offer("'--completion --completion'", "bash") << argument_cases << "  esac\n"
       << complete_words;
  return text.str();
}

}  // namespace kronattn
