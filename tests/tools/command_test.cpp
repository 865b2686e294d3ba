#include "command.hpp"

#include <gtest/gtest.h>

namespace kronattn {
namespace {

namespace po = boost::program_options;

using Words = std::vector<std::string>;

/// A command with an option of each kind.
CommandLine some_line(const Words& arguments) {
  CommandLine line({.name = "paint"});
  line.add()("color", po::value<std::string>()->default_value("red")->value_name("red|green|N"),
             "of the wall")                                                        //
      ("layers", po::value<Index>()->value_name("N"), "of paint")                  //
      ("output,o", po::value<std::string>()->value_name("FILE"), "where it goes")  //
      ("fast", po::bool_switch(), "no drying");
  line.parse(arguments);
  return line;
}

TEST(CommandLine, WhatWasGivenAndNeverReadIsNoted) {
  const CommandLine line = some_line({"--layers", "3", "--fast", "--color", "green"});
  EXPECT_TRUE(line.given("layers"));
  EXPECT_EQ(line.choice("color"), 1u);
  EXPECT_EQ(line.notes(), (Words{"--layers was given but not used in this run",
                                 "--fast was given but not used in this run"}));
  EXPECT_EQ(line.integer("layers", 1), 3);
  EXPECT_TRUE(line.flag("fast"));
  EXPECT_EQ(line.notes(), Words{});
}

TEST(CommandLine, WhatWasReadInVainIsNotedWithItsReasonButOnlyIfItWasGiven) {
  const CommandLine line = some_line({"-o", "house"});
  EXPECT_EQ(line.text("output"), "house");
  line.is_in_vain("output", "there is no house");
  line.is_in_vain("color", "there is no wall");
  EXPECT_EQ(line.notes(), Words{"--output was given but not used in this run (there is no house)"});
}

TEST(CommandLine, AnOptionSaysItsArgumentChoicesAndDefault) {
  const std::vector<OptionText> options = some_line({}).options();
  ASSERT_EQ(options.size(), 5u);
  EXPECT_EQ(options[0].argument, "red|green|N");
  EXPECT_EQ(options[0].choices(), (Words{"red", "green"}));
  EXPECT_EQ(options[0].preset, "red");
  EXPECT_EQ(options[0].meaning(), "of the wall (default: red)");
  EXPECT_EQ(options[1].choices(), Words{});
  EXPECT_EQ(options[2].letter, "o");
  EXPECT_TRUE(options[2].takes_file());
  EXPECT_EQ(options[3].argument + options[3].preset, "");
  EXPECT_EQ(options[4].name, "help");
}

}  // namespace
}  // namespace kronattn
