import { GraphQLList, GraphQLObjectType, GraphQLSchema, GraphQLString } from "graphql";

export const SUBSCRIPTION = "subscription { token }";
export const STREAMED_QUERY = "{ tokens @stream(initialCount: 0) }";

/** A schema with the tokens of the present round as a subscription and as a list. */
export const schemaOf = (script) =>
  new GraphQLSchema({
    query: new GraphQLObjectType({
      name: "Query",
      fields: { tokens: { type: new GraphQLList(GraphQLString), resolve: () => script.round.tokens() } },
    }),
    subscription: new GraphQLObjectType({
      name: "Subscription",
      fields: {
        token: { type: GraphQLString, subscribe: () => script.round.tokens(), resolve: (token) => token },
      },
    }),
  });
