import { GraphQLObjectType, GraphQLSchema, GraphQLString } from "graphql";

export const SUBSCRIPTION = "subscription { token }";

/** A schema with a subscription to the tokens of the present round. */
export const schemaOf = (script) =>
  new GraphQLSchema({
    query: new GraphQLObjectType({ name: "Query", fields: { hello: { type: GraphQLString } } }),
    subscription: new GraphQLObjectType({
      name: "Subscription",
      fields: {
        token: { type: GraphQLString, subscribe: () => script.round.tokens(), resolve: (token) => token },
      },
    }),
  });
